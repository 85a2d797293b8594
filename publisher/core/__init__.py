"""Pure rules: parse a snapshot, diff, guard, digest, events, schedule.

Imports nothing of the publisher but `errors`, and neither Redis, HTTP nor asyncio.
"""
