"""Durable steps of workflows: time, rate, bytes on the disk, and many runs that wait."""
