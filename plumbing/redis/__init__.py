"""Connections to Redis (one server, Sentinel, Cluster, embedded), and what its errors mean.

Imports: the rest of plumbing.
"""
