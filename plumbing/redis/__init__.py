"""Connections to Redis, and what its errors mean.

Redis is one server, Sentinel, Cluster, or embedded. Imports: the rest of plumbing.
"""
