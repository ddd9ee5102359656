"""Gate 3: whether every engine gives the same integers."""

from retrain.gates.result import Answer, Evidence, Gate

MINIMUM_VECTORS = 100_000


def bit_exact(proof: Evidence) -> Answer:
    """All engines agree on every vector, there were enough vectors, and constants and types agree as written."""
    numbers = {name: proof[name] for name in ("vectors", "classes", "mismatching_vectors", "structure", "rails")}
    numbers["first_difference"] = proof["first_difference"]
    vectors = int(proof["vectors"])
    if proof["mismatching_total"] or proof["structure"]:
        first = proof["first_difference"] or {}
        where = f"first in {first['engine']} at {first['layer']}" if first else str(proof["structure"][:1])
        return "fail", f"{proof['mismatching_total']} of {vectors} vectors differ, {where}", numbers
    if vectors < MINIMUM_VECTORS:
        return "inconclusive", f"0 mismatches, but only {vectors} of {MINIMUM_VECTORS} vectors", numbers
    return "pass", f"0 mismatches in {vectors} vectors over {', '.join(proof['engines'])}", numbers


GATE = Gate(3, "bit_exact", ("proof",), bit_exact, of_the_network=True)
