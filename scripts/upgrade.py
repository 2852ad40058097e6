"""Makes the upgrade script from one release's install script to the next one's.

    upgrade.py sql/memory_ext--OLD.sql sql/memory_ext--NEW.sql > sql/memory_ext--OLD--NEW.sql

What is new is created, a changed attribute or comment is set again. It fails when a function was
dropped or its arguments changed: views and policies of users may depend on it.
"""

import pathlib
import re
import sys

STATEMENT = re.compile(r"^(CREATE FUNCTION|COMMENT ON FUNCTION|DO) .*?;$(?=\n\n|\n?\Z)", re.DOTALL | re.MULTILINE)
FUNCTION = re.compile(r'CREATE FUNCTION ("\w+"\(.*?\n\) RETURNS .*?)\n((?:STRICT |VOLATILE|STABLE|IMMUTABLE).*)', re.DOTALL)

HEADER = """\
\\echo Use "ALTER EXTENSION memory_ext UPDATE" to load this file. \\quit

-- Made by `make schema` from the install scripts of both releases: change the Rust code, not this file.
"""

# The tables are the user's. An extension script runs with the extension's schema first in search_path; its name is not
# written here because PostgreSQL refuses to put a name with quotes into a script.
MIGRATION = """\
-- Brings the store up to this release, as the owner of its tables; without a store there is nothing to do.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_extension e ON e.extnamespace OPERATOR(pg_catalog.=) c.relnamespace
        WHERE e.extname OPERATOR(pg_catalog.=) 'memory_ext' AND c.relname OPERATOR(pg_catalog.=) 'memory_migrations')
    THEN
        PERFORM memory_migrate();
    END IF;
END
$$;
"""


def statements(path):
    """Functions by their name and comments by their function, each as its SQL."""
    functions, comments = {}, {}
    for found in STATEMENT.finditer(pathlib.Path(path).read_text()):
        sql = found[0]
        if sql.startswith("CREATE FUNCTION"):
            functions[re.match(r'CREATE FUNCTION "(\w+)"', sql)[1]] = sql
        elif sql.startswith("COMMENT"):
            comments[re.match(r"COMMENT ON FUNCTION (\w+)", sql)[1]] = sql
    if not functions or set(functions) != set(comments):
        sys.exit(f"upgrade.py: {path} is not understood: {set(functions) ^ set(comments)}")
    return functions, comments


def signature(sql):
    return FUNCTION.match(sql)[1]


def main(old_path, new_path):
    old_functions, old_comments = statements(old_path)
    new_functions, new_comments = statements(new_path)
    gone = set(old_functions) - set(new_functions)
    if gone:
        sys.exit(f"upgrade.py: gone since the last release: {sorted(gone)}")
    parts = [HEADER]
    for name, sql in new_functions.items():
        before = old_functions.get(name)
        if before is None:
            parts.append(sql)
        elif before != sql:
            if signature(before) != signature(sql):
                sys.exit(f"upgrade.py: the arguments or the result of {name} changed since the last release")
            parts.append(sql.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1))
    parts += [sql for name, sql in new_comments.items() if old_comments.get(name) != sql]
    parts.append(MIGRATION)
    print("\n\n".join(part.strip("\n") for part in parts))


if __name__ == "__main__":
    main(*sys.argv[1:])
