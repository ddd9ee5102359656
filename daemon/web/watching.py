"""The routes for those who only look: the live view and the reports of fills."""

from fastapi import APIRouter

from daemon.web import filed, live

router = APIRouter()
for part in (live, filed):
    router.include_router(part.router)
