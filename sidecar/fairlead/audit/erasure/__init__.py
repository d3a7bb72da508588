"""Values that can be erased without breaking the chain: a record has a salted commitment, the value lies beside it.

`model` is the commitment, `service` erases.
"""
