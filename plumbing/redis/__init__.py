"""Connections to Redis: one server, Sentinel, Cluster or embedded, and what its errors mean."""
