package host

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The numbers that we keep for every system are the kernel's.
func TestDiagNumbersAreTheKernels(t *testing.T) {
	var info unix.TCPInfo
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"AF_INET", afInet, unix.AF_INET},
		{"AF_INET6", afInet6, unix.AF_INET6},
		{"IPPROTO_TCP", protoTCP, unix.IPPROTO_TCP},
		{"SOCK_DIAG_BY_FAMILY", sockDiagByFamily, unix.SOCK_DIAG_BY_FAMILY},
		{"NLMSG_HDRLEN", netlinkHeader, unix.NLMSG_HDRLEN},
		{"NLMSG_ERROR", netlinkError, unix.NLMSG_ERROR},
		{"NLMSG_DONE", netlinkDone, unix.NLMSG_DONE},
		{"NLMSG_OVERRUN", netlinkOverrun, unix.NLMSG_OVERRUN},
		{"NLM_F_DUMP_INTR", netlinkInterrupted, unix.NLM_F_DUMP_INTR},
		{"TCP_ESTABLISHED", tcpEstablished, unix.BPF_TCP_ESTABLISHED},
		{"TCP_CLOSE_WAIT", tcpCloseWait, unix.BPF_TCP_CLOSE_WAIT},
		{"TCP_LISTEN", tcpListen, unix.BPF_TCP_LISTEN},
		{"tcpi_last_data_sent", infoLastDataSent, unsafe.Offsetof(info.Last_data_sent)},
		{"tcpi_last_data_recv", infoLastDataRecv, unsafe.Offsetof(info.Last_data_recv)},
		{"tcpi_bytes_acked", infoBytesAcked, unsafe.Offsetof(info.Bytes_acked)},
		{"tcpi_bytes_received", infoBytesReceived, unsafe.Offsetof(info.Bytes_received)},
		{"tcpi_bytes_sent", infoBytesSent, unsafe.Offsetof(info.Bytes_sent)},
		{"tcpi_bytes_retrans", infoBytesRetrans, unsafe.Offsetof(info.Bytes_retrans)},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d here and %d there", c.name, c.got, c.want)
		}
	}
}
