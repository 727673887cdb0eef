package config

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

const (
	// nameLetters are safe in a file name and in a host name.
	nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	maxName     = 128
	maxPath     = 1024
	volume      = "/workspace"
	localDir    = "/var/lib/gpu-watchdog"
)

// nameFlaw says why a name cannot be a folder's, "" for no reason.
func nameFlaw(name string) string {
	switch {
	case len(name) > maxName:
		return "is longer than 128 characters; shorten it"
	case strings.Trim(name, ".") == "":
		return "is no name of a folder; write letters, digits, dots, underscores and hyphens"
	case onlyNameLetters(name):
		return ""
	}
	if meant := safeName(name); meant != "" {
		return "holds what a folder's name may not; did you mean " + meant + "?"
	}
	return "holds what a folder's name may not; write letters, digits, dots, underscores and hyphens"
}

func onlyNameLetters(s string) bool { return strings.Trim(s, nameLetters) == "" }

// safeName maps what a folder's name may not hold to hyphens and cuts a name that is too long, keeping it distinct by
// a hash of the whole. It returns "" where nothing readable is left.
func safeName(s string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameLetters, r) {
			return r
		}
		return '-'
	}, s)
	if strings.Trim(name, ".-_") == "" {
		return ""
	}
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(s))
		tail := "-" + hex.EncodeToString(sum[:4])
		name = name[:maxName-len(tail)] + tail
	}
	return name
}

// pathFlaw says what is wrong with an absolute path, "" for nothing.
func pathFlaw(path string) string {
	switch {
	case len(path) > maxPath:
		return "is longer than 1024 bytes; choose a shorter path"
	case strings.ContainsFunc(path, unicode.IsControl):
		return "holds a control character; write a plain path"
	case !filepath.IsAbs(path):
		return "is not absolute, and would depend on where the watchdog was started; begin it with a slash"
	}
	return ""
}

// socketFlaw says what is wrong with the path of a unix socket, "" for nothing.
func socketFlaw(path string) string {
	const most = 107 // the kernel's 108 bytes with their end
	switch text := pathFlaw(path); {
	case len(path) > most:
		return "has " + strconv.Itoa(len(path)) + " bytes, and the path of a unix socket at most " + strconv.Itoa(most) + "; choose a shorter one"
	case text != "":
		return text
	case strings.HasSuffix(path, "/"):
		return "is a folder; name a file in it"
	}
	return ""
}

// libraryFlaw says what is wrong with a library's name or path, "" for nothing.
func libraryFlaw(path string) string {
	if !strings.Contains(path, "/") {
		path = "/" + path
	}
	return pathFlaw(path)
}

// onVolume says that a folder above the file, other than the root, is a mount of its own.
func onVolume(path string, isMounted func(string) bool) bool {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if isMounted(dir) {
			return true
		}
	}
	return false
}
