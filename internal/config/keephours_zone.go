package config

import (
	"io/fs"
	"os"
	"strings"
	"time"
)

// zoneDatabase is where zones are looked up.
type zoneDatabase struct {
	load func(name string) (*time.Location, error)
	// names lists the zones that there are, as far as they can be listed.
	names func() []string
}

// zonesOfSystem is the machine's database, which is not part of this program. It is read where the setting names a zone, and
// listed only where it has none of that name.
var zonesOfSystem = zoneDatabase{time.LoadLocation, listZones}

// isZoneWord says that a word can only be a zone, wherever it stands.
func isZoneWord(word string) bool {
	return strings.Contains(word, "/") || strings.EqualFold(word, "UTC") || strings.EqualFold(word, "GMT")
}

// find looks a zone up by its name; or it says what is wrong, with the name that was meant where it may guess.
func (db zoneDatabase) find(name string, guess bool) (*time.Location, string) {
	switch {
	case strings.EqualFold(name, "UTC"):
		return time.UTC, ""
	case strings.EqualFold(name, "local"), strings.EqualFold(name, "localtime"):
		return nil, "is whatever the machine is set to; write the zone itself, such as Asia/Seoul"
	case zoneName(name):
		if zone, err := db.load(name); err == nil {
			return zone, ""
		}
	}
	if _, err := db.load("Etc/UTC"); err != nil {
		return nil, "cannot be looked up: this system has no time zone database; install its package tzdata, or write the hours in UTC"
	}
	if guess {
		if meant := db.meant(name); meant != "" {
			return nil, "is no time zone; did you mean " + meant + "?"
		}
	}
	return nil, "is no time zone that this system knows; write one such as Asia/Seoul, or UTC"
}

// zoneName says that the name looks like a zone's, and not like one of the other files of the database.
func zoneName(name string) bool {
	const longest = 64
	if name == "" || len(name) > longest || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("/_+-", c):
		default:
			return false
		}
	}
	return true
}

// abbreviations are what people call a zone and the database does not; those with two meanings say nothing.
var abbreviations = map[string]string{
	"KST": "Asia/Seoul", "JST": "Asia/Tokyo", "SGT": "Asia/Singapore", "HKT": "Asia/Hong_Kong", "BST": "Europe/London", "CEST": "Europe/Berlin",
	"MEZ": "Europe/Berlin", "MESZ": "Europe/Berlin", "ET": "America/New_York", "EDT": "America/New_York", "CDT": "America/Chicago",
	"MDT": "America/Denver", "PT": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PST": "America/Los_Angeles", "AEST": "Australia/Sydney",
	"AEDT": "Australia/Sydney", "NZST": "Pacific/Auckland", "NZDT": "Pacific/Auckland", "Z": "UTC",
	"CST": "", "IST": "",
}

// meant guesses which zone of the database was meant: by a usual abbreviation, a whole name, or the name of its city; "" where
// it cannot.
func (db zoneDatabase) meant(name string) string {
	name = strings.ReplaceAll(name, " ", "_")
	if meant, known := abbreviations[strings.ToUpper(name)]; known {
		return meant
	}
	names := append(db.names(), "UTC")
	if meant := nearest(name, names); meant != "" {
		return meant
	}
	cities, places := make([]string, 0, len(names)), make(map[string]string, len(names))
	for _, full := range names {
		city := full[strings.LastIndex(full, "/")+1:]
		if _, seen := places[city]; !seen && city != full {
			cities, places[city] = append(cities, city), full
		}
	}
	return places[nearest(name[strings.LastIndex(name, "/")+1:], cities)]
}

// zoneFolders are where systems keep the database, as the standard library knows them.
var zoneFolders = []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"}

func listZones() []string {
	for _, folder := range zoneFolders {
		if names := zonesIn(os.DirFS(folder)); len(names) > 0 {
			return names
		}
	}
	return nil
}

// mostZones bounds the list; the database has about 600.
const mostZones = 2000

// zonesIn lists the zones of a folder of the database, in the order of their names.
func zonesIn(tree fs.FS) (names []string) {
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case path == "." && err == nil:
		case err != nil, len(names) == mostZones:
			return fs.SkipAll
		case !zoneName(path) && entry.IsDir():
			return fs.SkipDir // posix and right have everything once more
		case !zoneName(path), entry.IsDir():
		default:
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return names
}
