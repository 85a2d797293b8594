"""Pure rules: parse a snapshot, diff, guard, digest, events, schedule.

Imports only `publisher.errors`; neither Redis nor HTTP nor asyncio.
"""
