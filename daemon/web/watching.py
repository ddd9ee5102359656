"""The routes for those who only look: the live view and the reports of fills."""

from fastapi import APIRouter

from daemon.web import filed, live

router = APIRouter(include_in_schema=False)
for part in (live, filed):
    router.include_router(part.router)
