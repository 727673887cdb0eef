package host

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A line of /proc/PID/stat says what was put into it, whatever a process calls itself; and no name is dangerous to print.
func FuzzParseTTYProcess(f *testing.F) {
	f.Add("bash", byte('S'), int32(100), int32(100), int32(100), uint32(136<<8|3), int32(200), "0 0 0")
	f.Add("a) R 1 1 1 (", byte('Z'), int32(1), int32(0), int32(-1), uint32(1<<31|136<<8), int32(-1), "")
	f.Add("\n\x00\xff é", byte('R'), int32(1), int32(2), int32(3), uint32(0), int32(4), "(")
	f.Fuzz(func(t *testing.T, name string, state byte, pid, group, session int32, device uint32, front int32, behind string) {
		if got, err := parseTTYProcess(name); err != nil && got != (ttyProcess{}) || err == nil && !plainName(got.name) {
			t.Errorf("%q reads as %+v, %v", name, got, err)
		}
		if strings.ContainsRune(behind, ')') || state <= ' ' || state > '~' || state == ')' {
			return // the kernel writes none such
		}
		got, err := parseTTYProcess(fmt.Sprintf("%d (%s) %c 1 %d %d %d %d %s\n", pid, name, state, group, session, int32(device), front, behind))
		if err != nil {
			t.Fatal(err)
		}
		tty := -1
		if major := device & 0xfff00 >> 8; major == 136 {
			tty = int(device&0xff + device&0xfff00000>>12)
		}
		want := ttyProcess{pid: int(pid), group: int(group), session: int(session), tty: tty, front: int(front), state: state, name: got.name}
		if got != want || !plainName(got.name) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if len(name) <= 15 && plainName(name) && got.name != name {
			t.Errorf("%q is called %q", name, got.name)
		}
	})
}

// plainName: short, and of one line.
func plainName(name string) bool {
	odd := func(r rune) bool {
		return r == utf8.RuneError || r != ' ' && (!unicode.IsPrint(r) || unicode.IsSpace(r))
	}
	return utf8.RuneCountInString(name) <= 64 && utf8.ValidString(name) && strings.IndexFunc(name, odd) < 0
}

// A line of /proc/net/tcp says which socket listens where, and only one that listens.
func FuzzParseListener(f *testing.F) {
	f.Add(uint16(8000), uint64(77), byte(10), "  sl  local_address rem_address   st")
	f.Add(uint16(0), uint64(0), byte(1), "0: x:y z 0A 0 0 0 0 0 1")
	f.Add(uint16(65535), uint64(1<<64-1), byte(255), "0: :1F40 z 0A 0 0 0 0 0 -1 0")
	f.Fuzz(func(t *testing.T, port uint16, inode uint64, state byte, line string) {
		if port, inode, ok := parseListener(line); ok != (inode != "") || !ok && port != 0 || strings.ContainsFunc(inode, func(r rune) bool { return r < '0' || r > '9' }) {
			t.Errorf("%q reads as %d, %q, %v", line, port, inode, ok)
		}
		gotPort, gotInode, ok := parseListener(fmt.Sprintf("   3: 0100007F:%04X 00000000:0000 %02X 00000000:00000000 00:00000000 00000000  1000        0 %d 1 x\n", port, state, inode))
		if want := state == tcpListen && inode != 0; ok != want || ok && (gotPort != port || gotInode != fmt.Sprint(inode)) {
			t.Errorf("port %d, socket %d, state %d: %d, %q, %v", port, inode, state, gotPort, gotInode, ok)
		}
	})
}
