// Package report makes the figures of days that people read and programs parse: what was asked, what kept the SLA, how fast it
// went and what it cost. Build reads them from the telemetry's file through its reader; a report then writes itself as a table,
// as CSV, as JSON, or as a page with plots that needs nothing but a browser.
//
// It only reads and writes what it is handed: it opens no file, asks no server and no clock, and must not import net/http, cmd,
// a source or the loop.
package report
