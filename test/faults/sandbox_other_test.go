//go:build !linux

package faults

import (
	"os"
	"syscall"
	"testing"
)

const sandboxVariable = "GPU_WATCHDOG_FAULTS_SANDBOX"

func firstProcess(t testing.TB) *syscall.SysProcAttr {
	t.Skip("this system has no namespaces of processes")
	return nil
}

func sandbox(string, []string) { os.Exit(99) }

func fewFiles(p *pod) { p.t.Skip("this system has no limits that can be raised from outside") }

func (p *pod) contain(bool) { p.t.Skip("this system has no control groups") }

func (p *pod) inTheContainer(string) (end func()) { return func() {} }

func hidesGroups(*pod) {}

func noGroups(*pod) {}

func types(p *pod) { p.t.Skip("this system's terminals are others") }

func (p *pod) child(bool, int) int { return 0 }
