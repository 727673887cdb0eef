// Package kill holds what the watchdog remembers to its promise under `kill -9` at any instant. It is tests only, of the
// real program against a server that stands in for vLLM:
//
//	go test ./test/kill                           # 16 kills
//	go test ./test/kill -run Kills -kills=200 -v  # the figures for the record
package kill
