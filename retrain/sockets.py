"""The sockets of the shipped models that are not the anomaly detector's: what goes in and comes out, without weights.

Nothing here knows a network.
"""

from retrain.contract import AXOL1TL_PORTS, LARGEST, Budget, Contract, InputPort

REGIONS_PHI, REGIONS_ETA = 18, 14
REGION_SHIFT = 4  # regional energies of 0 to 255 counts become 0 to 16 in steps of a sixteenth


def topology_contract(name: str = "topology") -> Contract:
    """Return the socket of a classifier of topologies on the 57 L1 inputs of AXOL1TL.

    Its latent values are log-odds, one for each signal it knows, in steps of 1/64; the score is the largest of them,
    and 0 where all speak for background.  A site that wants those too gives a signed type, as ``ap_fixed<12,6>``.
    """
    return Contract(
        name=name,
        inputs=AXOL1TL_PORTS,
        latent="ap_fixed<12,6,AP_TRN,AP_SAT>",
        score="ap_ufixed<11,5,AP_TRN,AP_SAT>",
        score_rule=LARGEST,
    )


def cicada_contract(name: str = "cicada") -> Contract:
    """Return the socket of an anomaly detector on the 18 x 14 regional energies of the calorimeter trigger.

    Inputs are ``ap_uint<10>`` in steps of 0.5 GeV, azimuth by azimuth, as CICADA has them.  Offsets and shifts are one
    for all regions and part of the socket: a filter that moves over regions needs them alike, so none is derived.

    References:
        cms-hls4ml/CICADA v2 (18 x 14 ``ap_uint<10>``, score ``ap_ufixed<16,8>``); arXiv:2310.06047.
    """
    inputs = tuple(
        InputPort(f"Region{phi}x{eta}_et", "Region", "et", "0.5 GeV", 0, 1023, halved=False, shift=REGION_SHIFT)
        for phi in range(REGIONS_PHI)
        for eta in range(REGIONS_ETA)
    )
    return Contract(
        name=name,
        inputs=inputs,
        network_input="ap_ufixed<8,4,AP_TRN,AP_SAT>",
        latent="ap_ufixed<12,6,AP_TRN,AP_SAT>",
        score="ap_ufixed<16,8,AP_TRN,AP_SAT>",
        score_rule=LARGEST,
        budget=Budget(latency_ticks=8, lut=120_000, ff=80_000),
    )
