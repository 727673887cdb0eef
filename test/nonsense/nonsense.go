// Package nonsense holds the ways in which what listens on a server's port can be wrong. It is for tests only.
package nonsense

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Source is the server that was there before: what its page says now, and what ends when the server goes.
type Source struct {
	Page func() string
	Left <-chan struct{}
}

// Way is one way to answer everything wrongly.
type Way func(Source) http.HandlerFunc

// Hangs never answers.
func Hangs(s Source) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-s.Left:
		}
	}
}

// HTML is some web server's page for people.
func HTML(Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works!</body></html>\n")
	}
}

// HalfAPage announces the whole and sends the half.
func HalfAPage(s Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		page := s.Page()
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(page)))
		_, _ = io.WriteString(w, page[:len(page)/2])
	}
}

// HalfALine announces nothing, and ends the connection in the middle of a number.
func HalfALine(s Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		page := s.Page()
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=1.0.0\r\nConnection: close\r\n\r\n%s", page[:len(page)-len(".0\n")])
		_ = out.Flush()
	}
}

// Endless sends 200 MB that begin like a page.
func Endless(s Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		block := []byte(strings.Repeat(s.Page(), 200))
		for sent := 0; sent < 200<<20 && r.Context().Err() == nil; sent += len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
}

// AnnouncesTooMuch says at once that 200 MB will come.
func AnnouncesTooMuch(s Source) http.HandlerFunc {
	send := Endless(s)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(200<<20))
		send(w, r)
	}
}

// Redirects leads back to where one came from, for ever.
func Redirects(Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
}

// WantsLogin answers 401.
func WantsLogin(Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusUnauthorized) }
}

// binary Noise under the right content type.
func Noise(Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		b := make([]byte, 4096)
		for i := range b {
			b[i] = byte(i*i ^ i>>3)
		}
		_, _ = w.Write(b)
	}
}

// NotHTTP answers with another protocol's greeting.
func NotHTTP(Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.9\r\n")
	}
}
