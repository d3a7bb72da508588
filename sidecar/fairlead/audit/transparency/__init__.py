"""What proves the log to somebody who does not trust whoever holds it: a Merkle tree over it and signed checkpoints.

`merkle` is the tree (the one that is signed grows in `native/seal`), `note` the signed text, `checkpoint` what is
signed, `keys` who signs, `store` where it is kept, `sealing` when it happens, `proofs` what is answered, `bundle` what
is exported, and `verify` checks all of that offline, with a public key alone.
"""
