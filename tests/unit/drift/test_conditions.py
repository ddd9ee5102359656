import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.conditions import BeamModeFeed, Conditions, ConditionsTable
from drift.conditions.formats import parse_certificate, parse_lumi_csv, parse_oms
from drift.errors import ConditionsError

REAL = Path(__file__).parents[3] / "../shared/data/conditions"
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
HEADER = (
    "#Data tag : 24v1 , Norm tag: None\n"
    "#run:fill,ls,time,beamstatus,E(GeV),delivered(1e30/cm2s),recorded(1e30/cm2s),avgpu,source\n"
)


def brilcalc(lumisections, run=400000, fill=9500, pileup=60.0, delivered=100.0, recorded=98.0, mode="STABLE BEAMS"):
    rows = (
        f"{run}:{fill},{n}:{n},07/01/26 12:00:00,{mode},6800,{delivered},{recorded},{pileup},HFET\n"
        for n in lumisections
    )
    return HEADER + "".join(rows)


def oms(run=400000, lumisection=1, **attributes):
    entry = {"run_number": run, "lumisection_number": lumisection, **attributes}
    return {"type": "lumisections", "id": f"{run}_{lumisection}", "attributes": entry}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "brilcalc.csv").write_text(brilcalc(range(1, 6)))
    (tmp_path / "golden.json").write_text('{"399000": [[1, 9]], "400000": [[1, 3]], "400001": [[1, 1]]}')
    (tmp_path / "dcs.json").write_text('{"399000": [[1, 9]], "400000": [[1, 4]], "400001": [[1, 1]]}')
    (tmp_path / "oms_lumisections.json").write_text(
        json.dumps({"data": [oms(lumisection=n, prescale_name="2p0E34", fill_number=9500) for n in range(1, 6)]})
    )
    return tmp_path


def write_again(path, text):
    """Write a file so that its stamp differs, however coarse the clock of the filesystem."""
    path.write_text(text)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def test_all_sources_are_joined_by_run_and_lumisection(folder):
    table = ConditionsTable.load(folder)

    assert table.at(400000, 3) == Conditions(
        run=400000,
        lumisection=3,
        fill=9500,
        pileup=60.0,
        prescale_column="2p0E34",
        beam_mode="STABLE BEAMS",
        dcs_ok=True,
        certified=True,
        dead_time=pytest.approx(0.02),
    )
    assert [table.at(400000, n).certified for n in (3, 4, 5)] == [True, False, False]
    assert [table.at(400000, n).usable for n in (3, 4, 5)] == [True, True, False]
    assert table.runs() == (400000,)
    assert table.lumisections(400000) == (1, 2, 3, 4, 5)
    assert table.at(400000, 6) is None
    assert table.at(1, 1) is None


def test_certification_needs_no_detector_control(tmp_path):
    (tmp_path / "golden.json").write_text('{"1": [[1, 5]], "2": [[1, 1]]}')
    (tmp_path / "dcs.json").write_text('{"1": [[1, 2]], "2": [[1, 1]]}')
    found = ConditionsTable.load(tmp_path).at(1, 5)

    assert (found.certified, found.dcs_ok) == (True, False)


def test_what_nobody_said_yet_is_none(tmp_path):
    (tmp_path / "a.csv").write_text("9500,400000,7,55.0\n")
    (tmp_path / "golden.json").write_text('{"400000": [[1, 6]]}')
    found = ConditionsTable.load(tmp_path).at(400000, 7)

    assert (found.certified, found.dcs_ok, found.beam_mode, found.bunches, found.dead_time) == (
        None,
        None,
        None,
        None,
        None,
    )
    assert not found.usable


@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({}, True),
        ({"dead_time": None}, True),
        ({"dead_time": 0.199}, True),
        ({"dead_time": 0.2}, False),
        ({"pileup": None}, False),
        ({"dcs_ok": None}, False),
        ({"dcs_ok": False}, False),
        ({"beam_mode": None}, False),
        ({"beam_mode": "ADJUST"}, False),
        ({"certified": False}, True),
    ],
)
def test_a_lumisection_is_usable_in_stable_beams_with_detector_and_pileup(change, usable):
    known = {"pileup": 60.0, "dcs_ok": True, "beam_mode": "STABLE BEAMS", "dead_time": 0.02}

    assert Conditions(1, 1, **{**known, **change}).usable is usable


def test_gaps_duplicates_conflicts_and_unrecorded_rows_are_counted(tmp_path):
    (tmp_path / "a.csv").write_text(brilcalc([1, 2, 5, 2]))
    (tmp_path / "b.csv").write_text(
        brilcalc([5], pileup=20.0) + "400000:9500,6:0,07/01/26 12:00:00,STABLE BEAMS,6800,1,0,60,X\n"
    )
    counts = ConditionsTable.load(tmp_path).counts

    assert (counts.gaps, counts.duplicates, counts.conflicts, counts.unrecorded) == (2, 1, 1, 1)
    assert ConditionsTable.load(tmp_path).at(400000, 5).pileup is None


def test_beams_that_one_source_calls_unstable_are_not_stable(folder):
    (folder / "oms_lumisections.json").write_text(json.dumps({"data": [oms(beams_stable=False)]}))
    table = ConditionsTable.load(folder)

    assert table.at(400000, 1).beam_mode == "NOT STABLE BEAMS"
    assert table.counts.conflicts == 1


def test_a_lumisection_that_comes_after_its_successor_is_late(folder):
    first = ConditionsTable.load(folder)
    write_again(folder / "brilcalc.csv", brilcalc([1, 2, 3, 4, 5, 8]))
    second = ConditionsTable.load(folder)
    write_again(folder / "brilcalc.csv", brilcalc([1, 2, 3, 4, 5, 6, 7, 8, 9]))
    third = ConditionsTable.load(folder)

    assert [table.counts.late for table in (first, second, third)] == [0, 0, 2]
    assert ConditionsTable.load(folder) is third


def test_a_half_written_certificate_keeps_its_last_good_reading(folder):
    before = ConditionsTable.load(folder)
    whole = (folder / "golden.json").read_text()
    write_again(folder / "golden.json", whole[:20])
    during = ConditionsTable.load(folder)
    write_again(folder / "golden.json", whole.replace("[1, 3]", "[1, 5]"))
    after = ConditionsTable.load(folder)

    assert [table.at(400000, 3).certified for table in (before, during, after)] == [True, True, True]
    assert [table.at(400000, 5).certified for table in (before, during, after)] == [False, False, True]
    assert [len(table.faults) for table in (before, during, after)] == [0, 1, 0]


def test_bad_rows_are_counted_with_their_reason_and_the_rest_is_used():
    text = (
        brilcalc([1, 2])
        + "400000:9500,x:x,t,STABLE BEAMS,6800,1,1,60,X\n400000:9500,4:4,t,STABLE BEAMS,6800,1,5,60,X\n1,2\n"
    )
    parsed = parse_lumi_csv(text + "9500,400000,9,-3\n")

    assert [row.lumisection for row in parsed.rows] == [1, 2]
    assert len(parsed.faults) == 4
    assert "line 5" in parsed.faults[0]
    assert "exceeds delivered" in parsed.faults[1]


def test_columns_are_found_by_name_in_whatever_order():
    text = "#run:fill,ls,avgpu,recorded(/fb),delivered(/fb),beamstatus\n1:2,3:3,44.5,0.5,1.0,stable beams\n"
    row = parse_lumi_csv(text).rows[0]

    assert (row.run, row.fill, row.lumisection, row.pileup, row.dead_time, row.beam_mode) == (
        1,
        2,
        3,
        44.5,
        0.5,
        "STABLE BEAMS",
    )


@pytest.mark.parametrize(("tail", "rows"), [("60.8", 3), ("60.", 2), ("6", 2), ("60.8\n", 3), ("", 2)])
def test_a_last_line_without_its_end_counts_only_when_it_looks_whole(tail, rows):
    assert len(parse_lumi_csv(f"9500,400000,1,60.1\n9500,400000,2,60.2\n9500,400000,3,{tail}").rows) == rows


def test_a_prescale_table_is_no_luminosity():
    parsed = parse_lumi_csv("Index,Name,2p0E34\n0,L1_SingleMuCosmics,1\n1,L1_ZeroBias,2\n")

    assert parsed.rows == ()
    assert len(parsed.faults) == 1
    assert not parsed.whole


@pytest.mark.parametrize(
    "text", ["", "[]", '{"x": [[1, 2]]}', '{"1": 3}', '{"1": [[3, 1]]}', '{"1": [[1, 5], [4, 9]]}', '{"1": [["a", 2]]}']
)
def test_a_certificate_that_makes_no_sense_says_so(text):
    assert parse_certificate(text).faults


def test_oms_gives_column_flags_dead_time_and_bunches():
    flags = {"ebp_ready": True, "hf_ready": True, "tob_ready": False}
    response = {
        "data": [
            oms(**flags, delivered_lumi_per_lumisection=2.0, recorded_lumi_per_lumisection=1.0, prescale_index=4),
            oms(lumisection=2, **{**flags, "hf_ready": False}),
            oms(lumisection=0),
            {"type": "runs", "attributes": {"run_number": 400000, "fill_number": 9500}},
            {"type": "fills", "attributes": {"fill_number": 9500, "bunches_colliding": 2345}},
        ]
    }
    parsed = parse_oms(json.dumps(response))
    first, second = parsed.rows

    assert (first.fill, first.bunches, first.prescale_column, first.dcs_ok, first.dead_time) == (
        9500,
        2345,
        "4",
        True,
        0.5,
    )
    assert second.dcs_ok is False
    assert len(parsed.faults) == 1


def test_oms_gives_the_filling_scheme_of_a_fill_and_bunches_do_not_stand_in_for_it():
    scheme = {"fill_number": 9500, "bunches_colliding": 2345, "injection_scheme": "25ns_2357b_2345_2133_2220"}
    response = {
        "data": [
            oms(fill_number=9500),
            oms(lumisection=2, fill_number=9500, injection_scheme="25ns_12b_12_12_12"),
            oms(run=400001, fill_number=9501),
            {"type": "fills", "attributes": scheme},
            {"type": "fills", "attributes": {"fill_number": 9501, "bunches_colliding": 2345}},
        ]
    }
    schemes = [(one.bunches, one.filling_scheme) for one in parse_oms(json.dumps(response)).rows]

    assert schemes == [(2345, "25ns_2357b_2345_2133_2220"), (2345, "25ns_12b_12_12_12"), (2345, None)]


def test_a_folder_that_is_missing_is_said_so(tmp_path):
    with pytest.raises(ConditionsError, match=r"conditions\.folder"):
        ConditionsTable.load(tmp_path / "nowhere")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_content_of_a_conditions_file_raises(content):
    text = content.decode("utf-8", errors="replace")
    for parse in (parse_lumi_csv, parse_certificate, parse_oms):
        parse(text)


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 800), junk=st.text('0123456789:,[]{}"ab\n', max_size=6))
def test_no_damage_to_a_good_file_raises(cut, junk):
    good = brilcalc(range(1, 8))
    parse_lumi_csv(good[:cut] + junk + good[cut:])
    parse_certificate('{"1": [[1, 2]]}'[: cut % 16] + junk)
    response = json.dumps({"data": [oms(pileup=3.0)]})
    parse_oms(response[: cut % len(response)] + junk + response[cut % len(response) :])


real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")


@real
@pytest.mark.parametrize(
    ("name", "rows", "gaps"),
    [
        ("2022_highPUFills.csv", 2401, 4),
        ("EphZB2023_run370293.csv", 121, 0),
        ("EphZB2024I.csv", 2522, 1),
        ("bril_pu_run379420.csv", 522, 0),
        ("brilcalc_byls_2017_runs297050-297057.csv", 998, 64),
        ("run_lumi_2018_15fills.csv", 23542, 267),
        ("run_lumi_fill7005.csv", 1472, 0),
        ("run_lumi_run379420.csv", 522, 0),
    ],
)
def test_every_real_luminosity_file_is_read_without_a_fault(tmp_path, name, rows, gaps):
    shutil.copy(REAL / "lumi" / name, tmp_path)
    table = ConditionsTable.load(tmp_path)

    assert sum(len(table.lumisections(run)) for run in table.runs()) == rows
    assert table.counts.gaps == gaps
    assert table.faults == ()


@real
@pytest.mark.parametrize("path", sorted((REAL / "golden_json").glob("*")), ids=lambda path: path.name)
def test_every_real_certificate_is_read_without_a_fault(path):
    parsed = parse_certificate(path.read_text())

    assert parsed.faults == ()
    assert parsed.ranges == {
        int(run): tuple(map(tuple, sorted(spans))) for run, spans in json.loads(path.read_text()).items()
    }


@real
def test_the_real_run_of_2018_is_certified_where_its_golden_list_says(tmp_path):
    shutil.copy(REAL / "golden_json" / "json_GOLDEN_2018.txt", tmp_path)
    shutil.copy(REAL / "golden_json" / "json_DCSONLY_2018.txt", tmp_path)
    table = ConditionsTable.load(tmp_path)

    assert table.at(315267, 205).certified is True
    assert table.at(315267, 244).certified is True
    found = table.at(315267, 245)
    assert found is None or found.certified is False


@real
def test_golden_lumisections_of_2022_are_missing_from_the_dcs_list(tmp_path):
    golden = parse_certificate((REAL / "golden_json" / "json_GOLDEN_2022.txt").read_text()).ranges
    for name in ("json_GOLDEN_2022.txt", "json_DCSONLY_2022.txt"):
        shutil.copy(REAL / "golden_json" / name, tmp_path)
    table = ConditionsTable.load(tmp_path)
    listed = [(run, n) for run, spans in golden.items() for first, last in spans for n in range(first, last + 1)]
    without = sum(table.at(*key).dcs_ok is not True for key in listed)

    assert all(table.at(*key).certified for key in listed)
    assert without == 43


@real
def test_the_real_oms_answer_about_a_run_is_no_lumisection_and_no_fault():
    parsed = parse_oms((REAL / "oms" / "oms_runs_response.json").read_text())

    assert (parsed.rows, parsed.faults) == ((), ())


@real
@pytest.mark.parametrize("path", sorted((REAL / "prescales").glob("*.csv")), ids=lambda path: path.name)
def test_a_real_prescale_table_gives_no_luminosity(path):
    assert parse_lumi_csv(path.read_text(errors="replace")).rows == ()


def line(minutes, mode, fill=9500):
    when = NOON + timedelta(minutes=minutes)
    return json.dumps({"time": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "fill": fill, "beam_mode": mode}) + "\n"


def test_the_beam_mode_is_the_last_whole_line_and_since_its_first_repetition(tmp_path):
    feed = tmp_path / "beam_mode.jsonl"
    feed.write_text(
        line(-40, "ADJUST") + line(-30, "STABLE BEAMS") + line(-20, "STABLE BEAMS") + line(-5, "STABLE BEAMS")
    )
    mode = BeamModeFeed(feed).now(NOON)

    assert (mode.fill, mode.mode, mode.since) == (9500, "STABLE BEAMS", NOON - timedelta(minutes=30))


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (line(-5, "STABLE BEAMS") + line(-1, "BEAM DUMP")[:-3], "STABLE BEAMS"),
        (line(-5, "STABLE BEAMS") + line(-1, "BEAM DUMP")[:-1], "STABLE BEAMS"),
        (line(-5, "STABLE BEAMS") + "{broken}\n", None),
        (line(-16, "NO BEAM"), None),
        (line(5, "NO BEAM"), None),
        (line(0, "NO BEAM").replace("Z", ""), None),
        ("", None),
        ("\n\n", None),
    ],
)
def test_a_feed_that_cannot_be_trusted_says_nothing(tmp_path, text, mode):
    feed = tmp_path / "beam_mode.jsonl"
    feed.write_text(text)
    found = BeamModeFeed(feed, stale_s=900).now(NOON)

    assert (found.mode if found else None) == mode


def test_a_feed_that_is_missing_says_nothing(tmp_path):
    assert BeamModeFeed(tmp_path / "none.jsonl").now(NOON) is None


def test_only_the_end_of_a_long_feed_is_read(tmp_path):
    feed = tmp_path / "beam_mode.jsonl"
    feed.write_text(line(-60, "RAMP") * 20_000 + line(-2, "NO BEAM", fill=9501))

    assert BeamModeFeed(feed).now(NOON).fill == 9501
