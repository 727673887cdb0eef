package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks our files (PRAGMA application_id): "gpwd".
const applicationID = 0x67707764

// migrations are the schema's steps; step i leads from version i to i + 1, and the file of that name holds it.
var migrations = mustReadMigrations()

func mustReadMigrations() []string {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic("read the embedded migrations: " + err.Error())
	}
	steps := make([]string, len(entries))
	for _, entry := range entries {
		number, _, _ := strings.Cut(entry.Name(), "_")
		n, err := strconv.Atoi(number)
		text, reading := migrationFiles.ReadFile("migrations/" + entry.Name())
		if err != nil || reading != nil || n < 1 || n > len(steps) || steps[n-1] != "" {
			panic("migration " + entry.Name() + " does not begin with the next number")
		}
		steps[n-1] = string(text)
	}
	return steps
}

// identify reads the file's schema version, and refuses a file that is newer, or that is somebody else's. It writes nothing.
func identify(ctx context.Context, conn *sql.Conn, steps []string) (version int, err error) {
	var owner, tables int
	if err := conn.QueryRowContext(ctx, "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)").Scan(&version, &owner, &tables); err != nil {
		return 0, fmt.Errorf("read its schema: %w", err)
	}
	if tables > 0 && owner != applicationID {
		return 0, fmt.Errorf("%w: it has %d tables and its application_id is %d, not %d", errForeign, tables, owner, applicationID)
	}
	if version > len(steps) {
		return 0, fmt.Errorf("%w: its schema is %d, this version knows %d", errNewer, version, len(steps))
	}
	return version, nil
}

// migrate brings the file from a version to the present schema, each step in a transaction of its own.
func migrate(ctx context.Context, conn *sql.Conn, version int, steps []string) error {
	for i := version; i < len(steps); i++ {
		whole := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT", steps[i], i+1, applicationID)
		if _, err := conn.ExecContext(ctx, whole); err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK") // the first error tells more
			return fmt.Errorf("bring its schema to %d: %w", i+1, err)
		}
	}
	return nil
}
