package control

import "github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"

// What is asked for, each by its own path.
const (
	pathHolds    = "/holds"
	pathHold     = "/hold"
	pathRelease  = "/release"
	pathPostpone = "/postpone"
	pathStop     = "/stop"
)

// versionHeader is in every answer: it tells a watchdog from another program that speaks HTTP on a socket.
const (
	versionHeader = "Gpu-Watchdog-Control"
	version       = "1"
)

// notDone is the answer where an order was not carried out.
type notDone struct {
	Kind  orders.Kind `json:"kind"`
	Error string      `json:"error"`
}
