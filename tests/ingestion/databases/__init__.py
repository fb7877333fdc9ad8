"""Tests of databases by configuration. A package, so that its conftest is not taken for the loaders' own."""
