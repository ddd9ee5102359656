from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from drift.simulate.timestamps import restamp, root_time

BEGUN = datetime(2026, 11, 23, 21, 59, 58)  # noqa: DTZ001 - ROOT stamps local time
STAMP = datetime(2026, 4, 20, 6, 0, 0)  # noqa: DTZ001


def key(moment, version=b"\x03\xec"):
    return b"\x00\x00\x01\x02" + version + b"\x00\x00\x00\x2a" + root_time(moment) + b"\x00\x30"


def test_a_moment_is_packed_as_root_does():
    assert root_time(datetime(1995, 1, 2, 3, 4, 5)).hex() == "00443105"  # noqa: DTZ001


def test_every_key_written_in_the_interval_gets_the_stamp():
    content = key(BEGUN) + b"data" + key(BEGUN + timedelta(seconds=3), b"\x00\x04")

    assert restamp(content, BEGUN, BEGUN + timedelta(seconds=3), STAMP) == key(STAMP) + b"data" + key(
        STAMP, b"\x00\x04"
    )


def test_both_times_of_a_directory_get_the_stamp():
    content = b"\x00\x05" + root_time(BEGUN) * 2

    assert restamp(content, BEGUN, BEGUN, STAMP) == b"\x00\x05" + root_time(STAMP) * 2


def test_a_time_that_no_key_introduces_is_left_alone():
    content = b"\xff\xff\x12\x34\x56\x78" + root_time(BEGUN)

    assert restamp(content, BEGUN, BEGUN, STAMP) == content


@given(st.binary(max_size=200))
def test_restamping_never_changes_the_length(content):
    assert len(restamp(content + key(BEGUN), BEGUN, BEGUN, STAMP)) == len(content) + len(key(BEGUN))
