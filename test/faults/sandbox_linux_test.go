package faults

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sandboxVariable makes this test's own program one that runs another one with something taken away.
const sandboxVariable = "GPU_WATCHDOG_FAULTS_SANDBOX"

// firstProcess are the attributes of the first process of a container.
func firstProcess(t testing.TB) *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		t.Skip("only root may make a process the first of a namespace")
	}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
}

// sandbox takes away what act says and becomes the program argv. It returns only to end this process.
func sandbox(act string, argv []string) {
	_ = os.Unsetenv(sandboxVariable)
	runtime.LockOSThread() // what is taken away is taken from one thread, which then becomes the program
	if group, found := strings.CutPrefix(act, aContainer); found {
		contained(group, argv)
	}
	var err error
	switch act {
	case "no netlink":
		err = refuseNetlink()
	case "small files":
		err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 2048, Max: 2048})
	case "no log":
		err = unix.Close(2)
	}
	if err == nil {
		err = syscall.Exec(argv[0], argv, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "sandbox:", act, err)
	os.Exit(99)
}

// fewFiles lets the program open no more files until the limit is raised.
func fewFiles(p *pod) {
	var files unix.Rlimit
	limit := func(n uint64) {
		if err := unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: files.Max}, nil); err != nil {
			p.t.Error(err)
		}
	}
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, nil, &files); err != nil {
		p.t.Fatal(err)
	}
	p.refusals, p.blind = true, true // there is none left for its pages either
	limit(4)
	p.heal = func() { limit(files.Cur) }
}

// refuseNetlink lets socket(AF_NETLINK) fail as under a strict container runtime.
func refuseNetlink() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // the low half of its first argument
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_NETLINK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
