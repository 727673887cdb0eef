"""Asks a database the query of a file, as any program would: query.py DATABASE FILE. Prints the rows as JSON."""

import json
import sqlite3
import sys

database, file = sys.argv[1:]
connection = sqlite3.connect("file:%s?mode=ro" % database, uri=True)
connection.row_factory = sqlite3.Row
with open(file) as query:
    print(json.dumps([dict(row) for row in connection.execute(query.read())]))
