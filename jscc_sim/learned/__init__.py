"""Learned systems besides block JSCC, a folder each: network, codec or link, training task."""
