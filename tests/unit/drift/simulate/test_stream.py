import csv
import hashlib
import json

import awkward as ak
import numpy as np
import pytest
import uproot

from drift.conditions import ConditionsTable
from drift.counters import CounterTable
from drift.simulate import ScenarioError, simulate

SMALL = {"lumisections_per_fill": 6, "events_per_lumisection": 20, "lumisections_per_file": 3}


def events(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def test_every_file_has_a_sidecar_with_its_checksum(simulated_fills):
    for path in simulated_fills.files:
        digest, name = path.with_name(path.name + ".sha256").read_text().split()

        assert (digest, name) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.name)


def test_nothing_half_written_is_left_behind(simulated_fills):
    names = {path.name for path in simulated_fills.files[0].parent.iterdir()}

    assert names == {name for path in simulated_fills.files for name in (path.name, path.name + ".sha256")}


def test_a_file_holds_the_run_and_lumisections_of_its_name(simulated_fills):
    for path in simulated_fills.files:
        run, span = path.stem.removeprefix("run").split("_ls")
        first, last = (int(number) for number in span.split("-"))
        inside = events(path)

        assert set(ak.to_list(inside["run"])) == {int(run)}
        assert sorted(set(ak.to_list(inside["luminosityBlock"]))) == list(range(first, last + 1))
        assert len(inside) == 60 * (last - first + 1)


def test_hardware_integers_stay_in_their_ranges(simulated_fills):
    limits = {
        "L1Jet": (2047, 127, 144),
        "L1EG": (511, 127, 144),
        "L1Mu": (511, 225, 576),
    }
    for path in simulated_fills.files:
        inside = events(path)
        for name, (pt, eta, phi) in limits.items():
            assert ak.all((inside[f"{name}_hwPt"] >= 1) & (inside[f"{name}_hwPt"] <= pt))
            assert ak.all(abs(inside[f"{name}_hwEta"]) <= eta)
            assert ak.all((inside[f"{name}_hwPhi"] >= 0) & (inside[f"{name}_hwPhi"] < phi))
        assert ak.all((inside["L1EtSum_hwPt"] >= 0) & (inside["L1EtSum_hwPt"] <= 4095))
        assert ak.all((inside["L1EtSum_hwPhi"] >= 0) & (inside["L1EtSum_hwPhi"] < 144))
        assert ak.all(inside["L1EtSum_etSumType"] == [[0, 1, 2, 3, 8, 16, 21]])


def test_objects_come_in_order_of_momentum(simulated_fills):
    for path in simulated_fills.files:
        inside = events(path)
        for name in ("L1Jet", "L1EG", "L1Mu"):
            pt = inside[f"{name}_hwPt"]

            assert ak.all(pt[:, :-1] >= pt[:, 1:])
            assert ak.all(ak.num(pt) <= (8 if name == "L1Mu" else 12))


def test_conditions_name_exactly_the_lumisections_of_the_files(simulated_fills):
    delivered = {
        (int(run), int(lumisection))
        for path in simulated_fills.files
        for run, lumisection in zip(*(events(path)[name] for name in ("run", "luminosityBlock")), strict=True)
    }
    lines = [line for line in (simulated_fills.conditions / "brilcalc.csv").read_text().splitlines() if line[0] != "#"]
    measured = {(int(row[0].split(":")[0]), int(row[1].split(":")[0])) for row in csv.reader(lines)}
    oms = json.loads((simulated_fills.conditions / "oms_lumisections.json").read_text())
    lumisections = [entry["attributes"] for entry in oms["data"] if entry["type"] == "lumisections"]
    told = {(entry["run_number"], entry["lumisection_number"]) for entry in lumisections}

    assert delivered == measured == told
    assert len(delivered) == 24


def test_the_conditions_table_understands_all_that_is_said(simulated_fills):
    table = ConditionsTable.load(simulated_fills.conditions)
    truth = json.loads(simulated_fills.truth.read_text())["lumisections"]

    assert table.counts == type(table.counts)()
    for ls in truth:
        said = table.at(ls["run"], ls["lumisection"])
        assert said.fill == ls["fill"]
        assert said.pileup == pytest.approx(ls["pileup"], rel=0.02)
        assert said.bunches > 2000
        assert None not in {said.prescale_column, said.dead_time, said.certified, said.dcs_ok}


def test_golden_lumisections_have_high_voltage(simulated_fills):
    def listed(name):
        ranges = json.loads((simulated_fills.conditions / name).read_text())
        return {(run, ls) for run, spans in ranges.items() for a, b in spans for ls in range(a, b + 1)}

    assert listed("golden.json") <= listed("dcs.json")


def test_beam_modes_run_forward_in_time_and_end_each_fill_without_beam(simulated_fills):
    modes = [json.loads(line) for line in (simulated_fills.conditions / "beam_mode.jsonl").read_text().splitlines()]

    assert [mode["time"] for mode in modes] == sorted(mode["time"] for mode in modes)
    for fill in {mode["fill"] for mode in modes}:
        assert [mode["beam_mode"] for mode in modes if mode["fill"] == fill][-3:] == [
            "STABLE BEAMS",
            "BEAM DUMP",
            "NO BEAM",
        ]


def test_more_pileup_gives_more_towers(simulated_fills):
    truth = json.loads(simulated_fills.truth.read_text())["lumisections"]
    pileup = {(ls["run"], ls["lumisection"]): ls["pileup"] for ls in truth}
    inside = ak.concatenate([events(path) for path in simulated_fills.files])
    towers = ak.to_numpy(inside["L1EtSum_hwPt"][:, 6])
    mu = np.array([pileup[key] for key in zip(inside["run"], inside["luminosityBlock"], strict=True)])

    assert towers[mu < 40].mean() < 0.8 * towers[mu > 58].mean()


def test_the_same_seed_gives_the_same_bytes_whoever_makes_the_file(tmp_path):
    alone = simulate("hem1516", 1, 5, tmp_path / "alone", **SMALL)
    together = simulate("hem1516", 1, 5, tmp_path / "together", **SMALL, workers=2)

    assert [path.name for path in alone.files] == [path.name for path in together.files]
    for one, other in zip(alone.files, together.files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert alone.truth.read_bytes() == together.truth.read_bytes()
    for name in ("zero_bias.csv", "seeds.csv"):
        counters = [tmp_path / one / "counters" / name for one in ("alone", "together")]
        assert counters[0].read_bytes() == counters[1].read_bytes()


def test_counters_count_the_bits_of_the_files_and_claim_no_more_crossings_than_there_are_events(simulated_fills):
    counters = CounterTable.load([simulated_fills.conditions.parent / "counters" / "zero_bias.csv"])
    fired = {(run, ls): counts for run, ls, counts in counters}
    for path in simulated_fills.files:
        inside = events(path)
        for number in np.unique(inside["luminosityBlock"]):
            here = inside[inside["luminosityBlock"] == number]
            counts = fired[int(inside["run"][0]), int(number)]

            assert {one.crossings for one in counts.values()} == {60.0}
            assert all(one.counts == ak.sum(here[bit]) for bit, one in counts.items())
    assert counters.tally == type(counters.tally)()


def test_hardware_counters_follow_luminosity_and_say_prescale_and_dead_time(simulated_fills):
    counters = CounterTable.load([simulated_fills.conditions.parent / "counters" / "seeds.csv"])
    table = ConditionsTable.load(simulated_fills.conditions)
    rates = []
    for run, number, counts in counters:
        at, muon = table.at(run, number), counts["L1_SingleMu7"]
        live = 23.3104 * (1 - muon.dead_time) * at.bunches
        rates.append(muon.counts * muon.prescale / live / at.pileup)

    assert counters.tally == type(counters.tally)()
    assert counters.faults == ()
    assert len(rates) == 24
    assert {one["L1_SingleMu7"].prescale for _, _, one in counters} > {22.0}
    assert np.std(rates) / np.mean(rates) < 0.01
    assert np.mean(rates) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(
    ("scenario", "factor", "others"),
    [("seed_rate:factor=1.5", 1.5, 1.0), ("luminosity:factor=0.8", 0.8, 0.8), ("csc_sector", 1.0, 1.0)],
)
def test_a_scenario_shows_in_the_counters_from_its_onset(tmp_path, scenario, factor, others):
    small = {"lumisections_per_fill": 30, "events_per_lumisection": 1, "lumisections_per_file": 30}
    found = []
    for name in ("none", scenario):
        made = simulate(name, 1, 5, tmp_path / name[:4], **small)
        found.append({(r, n): c for r, n, c in CounterTable.load([made.truth.parents[1] / "counters" / "seeds.csv"])})
    onset = json.loads(made.truth.read_text())["changes"][0]["onset"]
    before = [pair for pair in found[0] if pair < (onset["run"], onset["lumisection"])]
    since = [pair for pair in found[0] if pair >= (onset["run"], onset["lumisection"])]

    assert before
    assert all(found[0][pair] == found[1][pair] for pair in before)
    for seed, expected in (("L1_AXO_Nominal", factor), ("L1_SingleEG36er2p5", others)):
        counted = [sum(one[pair][seed].counts for pair in since) for one in found]
        assert counted[1] / counted[0] == pytest.approx(expected, rel=0.02)


def test_another_seed_gives_other_events(tmp_path):
    one = simulate("none", 1, 5, tmp_path / "one", **SMALL)
    other = simulate("none", 1, 6, tmp_path / "other", **SMALL)

    assert not ak.array_equal(events(one.files[0])["L1EtSum_hwPt"], events(other.files[0])["L1EtSum_hwPt"])


def test_how_lumisections_are_packed_into_files_changes_no_event(tmp_path):
    packed = simulate("none", 1, 5, tmp_path / "packed", **SMALL)
    loose = simulate("none", 1, 5, tmp_path / "loose", **SMALL | {"lumisections_per_file": 1})

    one, other = (ak.concatenate([events(path) for path in stream.files]) for stream in (packed, loose))
    assert one.fields == other.fields
    assert all(ak.array_equal(one[name], other[name]) for name in one.fields)


def test_an_rntuple_reads_as_the_ttree_does(tmp_path):
    tree = simulate("none", 1, 5, tmp_path / "tree", **SMALL)
    ntuple = simulate("none", 1, 5, tmp_path / "ntuple", **SMALL, storage="rntuple")

    for one, other in zip(tree.files, ntuple.files, strict=True):
        expected, found = events(one), events(other)
        assert set(expected.fields) == set(found.fields)
        assert all(ak.to_list(expected[name]) == ak.to_list(found[name]) for name in expected.fields)


def test_a_new_menu_changes_bits_but_no_object(tmp_path):
    before = simulate("none", 2, 7, tmp_path / "before", **SMALL)
    after = simulate("menu_change", 2, 7, tmp_path / "after", **SMALL)
    old, new = events(before.files[-1]), events(after.files[-1])

    assert "L1_SingleJet120" in old.fields
    assert "L1_SingleJet120" not in new.fields
    assert "L1_SingleJet200" in new.fields
    assert ak.array_equal(old["L1Jet_hwPt"], new["L1Jet_hwPt"])


def test_progress_counts_every_file_once(tmp_path):
    seen = []
    stream = simulate("none", 1, 5, tmp_path, **SMALL, progress=lambda *said: seen.append(said))

    assert [done for done, _, _ in seen] == list(range(1, len(stream.files) + 1))
    assert [name for *_, name in seen] == [path.name for path in stream.files]


def test_an_unknown_scenario_writes_nothing(tmp_path):
    with pytest.raises(ScenarioError, match="did you mean 'hem1516'"):
        simulate("hem516", 1, 5, tmp_path / "out", **SMALL)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["events_per_lumisection", "lumisections_per_file", "workers"])
def test_a_count_of_zero_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="at least 1"):
        simulate("none", 1, 5, tmp_path, **{name: 0})
