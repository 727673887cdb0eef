package host

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// accepted writes the kernel's count of accepted connections below root; a negative one takes the file away.
func accepted(t *testing.T, root string, n int) {
	t.Helper()
	file := filepath.Join(root, "proc", "self", "net", "snmp")
	if n < 0 {
		_ = os.Remove(file)
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf("Ip: Forwarding\nIp: 1\nTcp: ActiveOpens PassiveOpens\nTcp: 3 %d\n", n)
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The table is walked at every look, unless two walks have found nobody and nobody was accepted since before both.
func TestTheTableIsWalkedUnlessNobodyCanBeConnected(t *testing.T) {
	stranger := established(9, "10.0.0.9:9")
	type step struct {
		opens  int // -1: the count cannot be read
		table  []diagSocket
		err    error
		later  time.Duration
		walked bool
		// connections is what the look must show.
		connections int
	}
	empty, one := []diagSocket{listener}, []diagSocket{listener, stranger}
	tests := []struct {
		name  string
		steps []step
	}{
		{"nobody", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true},
			{opens: 5, table: empty}, {opens: 5, table: empty}, {opens: 5, table: empty},
		}},
		{"somebody comes", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty},
			{opens: 6, table: one, walked: true, connections: 1}, {opens: 6, table: one, walked: true, connections: 1},
			{opens: 6, table: empty, walked: true}, {opens: 6, table: empty, walked: true}, {opens: 6, table: empty},
		}},
		{"somebody comes and goes between two looks", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty},
			{opens: 6, table: empty, walked: true}, {opens: 6, table: empty, walked: true}, {opens: 6, table: empty},
		}},
		{"somebody comes between the count and the walk, and stays silent", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: one, walked: true, connections: 1},
			{opens: 6, table: one, walked: true, connections: 1}, {opens: 6, table: one, walked: true, connections: 1},
		}},
		{"somebody is counted before he is in the table", []step{
			{opens: 6, table: empty, walked: true}, {opens: 6, table: one, walked: true, connections: 1},
			{opens: 6, table: one, walked: true, connections: 1},
		}},
		{"the count cannot be read", []step{
			{opens: -1, table: empty, walked: true}, {opens: -1, table: empty, walked: true}, {opens: -1, table: empty, walked: true},
		}},
		{"the count never counted", []step{
			{opens: 0, table: empty, walked: true}, {opens: 0, table: empty, walked: true}, {opens: 0, table: empty, walked: true},
		}},
		{"the count cannot be read any more", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty},
			{opens: -1, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty},
		}},
		{"the count falls", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 4, table: one, walked: true, connections: 1},
		}},
		{"a look fails", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty, err: syscall.ENOBUFS},
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty},
		}},
		{"the last walk is long ago", []step{
			{opens: 5, table: empty, walked: true}, {opens: 5, table: empty, walked: true}, {opens: 5, table: empty, later: walkEvery - time.Second},
			{opens: 5, table: one, later: time.Second, walked: true, connections: 1},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				f := &fakeTable{}
				s := fakeSockets(f, nil)
				s.root = root
				for i, step := range tt.steps {
					time.Sleep(step.later)
					accepted(t, root, step.opens)
					f.sockets, f.err, f.walks = step.table, step.err, 0
					got := s.Read(t.Context())
					if (f.walks > 0) != step.walked || len(got.Connections) != step.connections {
						t.Errorf("look %d: walked %v, %d connections; want %v, %d", i, f.walks > 0, len(got.Connections), step.walked, step.connections)
					}
					if step.err == nil && len(got.Listening) != 1 {
						t.Errorf("look %d: listening on %v", i, got.Listening)
					}
				}
			})
		})
	}
}
