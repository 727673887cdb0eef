package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// mergeAt is how many strips of a day, each over all its values, are merged into as many that follow one another. A report
// reads every strip of the first sort, and of the second only those around its percentiles.
const mergeAt = 16

const microsPerDay = 24 * 60 * 60 * 1_000_000

// dayOf is the UTC day of an instant in microseconds, counted from 1970.
func dayOf(micros int64) int64 {
	day := micros / microsPerDay
	if micros%microsPerDay < 0 {
		day--
	}
	return day
}

// unsealed is how many requests are not in days and strips yet.
func (db *database) unsealed(ctx context.Context) (n int64, err error) {
	err = db.conn.QueryRowContext(ctx, "SELECT coalesce((SELECT max(id) FROM requests), 0) - through FROM sealed").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count what is not sealed: %w", err)
	}
	return max(0, n), nil
}

// seal takes the oldest rows that are not sealed, a strip at most, into the figures of their days. It is one
// transaction, so a row is in those figures exactly once, whenever the process is killed. A row that comes late is in no way
// special: it adds to its day.
func (db *database) seal(ctx context.Context) (n int64, err error) {
	err = db.within(ctx, func() error {
		days := map[int64]*tally{}
		last, rows, err := db.tally(ctx, days)
		if err == nil && rows == 0 { // somebody deleted rows by hand
			_, err = db.exec(ctx, "UPDATE sealed SET through = max(through, coalesce((SELECT max(id) FROM requests), 0))")
		}
		if err != nil || rows == 0 {
			return err
		}
		for _, day := range slices.Sorted(maps.Keys(days)) {
			t := days[day]
			if _, err := db.exec(ctx, addToDay, append([]any{day}, t.values()...)...); err != nil {
				return err
			}
			if err := db.addStrips(ctx, day, kindTTFT, 0, t.ttft); err != nil {
				return err
			}
			if err := db.addStrips(ctx, day, kindTPOT, 0, t.tpot); err != nil {
				return err
			}
		}
		n = rows
		_, err = db.exec(ctx, "UPDATE sealed SET through = ?", last)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("seal rows: %w", err)
	}
	return n, nil
}

// tally adds the oldest unsealed rows up by days and returns the last one's id and their number.
func (db *database) tally(ctx context.Context, days map[int64]*tally) (last, n int64, err error) {
	rows, err := db.conn.QueryContext(ctx, "SELECT "+scannedColumns+" FROM requests WHERE id > (SELECT through FROM sealed) ORDER BY id LIMIT ?", db.strip)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = rows.Close() }()
	var r scanned
	fields := r.fields()
	for rows.Next() {
		if err := rows.Scan(fields...); err != nil {
			return 0, 0, err
		}
		day := dayOf(r.finishedAt)
		if days[day] == nil {
			days[day] = &tally{}
		}
		days[day].add(&r)
		last = r.id
		n++
	}
	return last, n, rows.Err()
}

// addStrips sorts entries and writes them in strips.
func (db *database) addStrips(ctx context.Context, day int64, k kind, level int, entries []entry) error {
	sortEntries(entries)
	for part := range slices.Chunk(entries, db.strip) {
		s := newStrip(k, part)
		if _, err := db.exec(ctx, "INSERT INTO strips (day, kind, level, low, high, n, tokens, fences, data) VALUES (?,?,?,?,?,?,?,?,?)",
			day, k, level, s.low, s.high, s.n, s.tokens, s.fences, s.data); err != nil {
			return err
		}
	}
	return nil
}

// merge merges the strips of one day that has enough of them. It reports whether it found one.
func (db *database) merge(ctx context.Context) (merged bool, err error) {
	err = db.within(ctx, func() error {
		var day int64
		var k kind
		err := db.conn.QueryRowContext(ctx, "SELECT day, kind FROM strips WHERE level = 0 GROUP BY day, kind HAVING count(*) >= ? LIMIT 1", mergeAt).Scan(&day, &k)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		merged = true
		entries, through, err := db.stripsToMerge(ctx, day, k)
		if err != nil {
			return err
		}
		if _, err := db.exec(ctx, "DELETE FROM strips WHERE day = ? AND kind = ? AND level = 0 AND id <= ?", day, k, through); err != nil {
			return err
		}
		return db.addStrips(ctx, day, k, 1, entries)
	})
	if err != nil {
		return false, fmt.Errorf("merge strips: %w", err)
	}
	return merged, nil
}

// stripsToMerge reads the oldest mergeAt strips of a day and returns the last one's id.
func (db *database) stripsToMerge(ctx context.Context, day int64, k kind) (entries []entry, through int64, err error) {
	rows, err := db.conn.QueryContext(ctx, "SELECT id, n, data FROM strips WHERE day = ? AND kind = ? AND level = 0 ORDER BY id LIMIT ?", day, k, mergeAt)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int
		var data sql.RawBytes
		if err := rows.Scan(&through, &n, &data); err != nil {
			return nil, 0, err
		}
		part, err := decodeStrip(k, data, n)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: strip %d: %w", errDamaged, through, err)
		}
		entries = append(entries, part...)
	}
	return entries, through, rows.Err()
}
