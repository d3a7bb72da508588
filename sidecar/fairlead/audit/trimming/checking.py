"""Whether the log begins where it was signed to: nobody else than its signer may have cut something off."""

from __future__ import annotations

from fairlead.audit.model import Undecodable
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.merkle import Frontier
from fairlead.audit.transparency.note import VerifierKey
from fairlead.audit.transparency.store import Seals
from fairlead.audit.trimming.beginning import Beginning


def problem_of(beginning: Beginning, seals: Seals) -> str:
    """What is wrong with a beginning, empty when nothing is. Its checkpoint has to be signed by a key of the log."""
    if not beginning.size:
        return ""
    try:
        state = seals.state()
        lines = [] if state is None else [state.public_key, *state.former_public_keys]
        signed = SignedCheckpoint.verified(beginning.note, [VerifierKey.parse(line) for line in lines]).checkpoint
    except (Undecodable, ValueError) as error:
        return f"the log begins with record {beginning.first_sequence}, whose checkpoint is not genuine: {error}"
    tree = Frontier(beginning.size, list(beginning.frontier))
    said = (beginning.size, beginning.prev_hash, tree.root() if tree.sound else b"")
    if (signed.size, signed.chain_head, signed.root) != said:
        return f"the log begins with record {beginning.first_sequence}, which is not where its checkpoint says"
    return ""
