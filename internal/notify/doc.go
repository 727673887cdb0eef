// Package notify tells people, on Slack, on Discord or wherever a program of theirs listens, what the watchdog is about to do and
// what it cannot do by itself. It decides nothing, and nothing waits for it: who notifies goes on at once, and a host that cannot
// be reached costs a message, never a decision.
//
// Each message has a kind and a key; of each pair one message is sent. It is tried again for ten minutes while the host does not
// answer, is overloaded or asks to wait, one message at a time and in order. One that was not delivered is forgotten, so that
// whoever notifies of the same again has it tried again.
//
// To Slack and Discord the text goes. Every other host gets JSON, signed as package post says:
//
//	{"schema": 1, "id": "…", "kind": "stop_announced", "key": "…", "name": "…", "start_id": "…", "at": "2026-11-24T15:45:49Z",
//	 "sent_at": "2026-11-24T15:45:50Z", "stop_at": "2026-11-24T15:47:49Z", "text": "…", "fields": {…}}
//
// where stop_at is null except in an announcement, fields are as the kind of message has them, and tries of one message share
// their id. Slack's and Discord's hooks cannot check signatures, so they get none.
//
// It must not import the loop, the configuration or any other room: it is told what to say.
package notify
