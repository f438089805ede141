package scheduler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const localtime = "/etc/localtime"

// systemZone follows the system's time zone, which package time reads only once in a process: the variable TZ where it is
// set, otherwise the file /etc/localtime. Not safe for concurrent use.
type systemZone struct {
	log    *zap.Logger
	getenv func(string) (string, bool)
	file   string // /etc/localtime

	current *time.Location
	source  zoneSource // what current was made from
}

// zoneSource detects cheaply whether the zone may have changed.
type zoneSource struct {
	tz    string
	tzSet bool
	info  fs.FileInfo // of the file that is read, after its links; nil when there is none
}

func newSystemZone(log *zap.Logger) *systemZone {
	return &systemZone{log: log, getenv: os.LookupEnv, file: localtime}
}

// SystemZone reads the system's time zone as it is now, in the same way as a Clock follows it.
func SystemZone() *time.Location { return newSystemZone(zap.NewNop()).location() }

// CheckZone fails when a value of the variable TZ is not a time zone; all schedules would be in UTC then.
func CheckZone(tz string) error {
	source := zoneSource{tz: tz, tzSet: true}
	_, err := load(new(systemZone).path(source), source)
	return err
}

// location returns the same pointer until the zone changes.
func (z *systemZone) location() *time.Location {
	var now zoneSource
	now.tz, now.tzSet = z.getenv("TZ")
	path := z.path(now)
	if path != "" {
		if info, err := os.Stat(path); err == nil {
			now.info = info
		}
	}
	if z.current != nil && z.source.same(now) {
		return z.current
	}
	z.source = now
	zone, err := load(path, now)
	if err != nil {
		if z.current == nil {
			z.current = time.UTC
		}
		logevent.TimeZoneUnreadable.Log(z.log, zap.Stringer("zone", z.current), zap.Error(err))
		return z.current
	}
	z.current = zone
	return zone
}

func (s zoneSource) same(t zoneSource) bool {
	if s.tz != t.tz || s.tzSet != t.tzSet || (s.info == nil) != (t.info == nil) {
		return false
	}
	return s.info == nil || os.SameFile(s.info, t.info) && s.info.ModTime().Equal(t.info.ModTime()) && s.info.Size() == t.info.Size()
}

// path returns the file with the zone; empty when TZ is the zone's name or its rule.
func (z *systemZone) path(s zoneSource) string {
	if !s.tzSet {
		return z.file
	}
	if path := strings.TrimPrefix(s.tz, ":"); filepath.IsAbs(path) {
		return path
	}
	return ""
}

func load(path string, s zoneSource) (*time.Location, error) {
	if path == "" {
		name := strings.TrimPrefix(s.tz, ":")
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
		return ruleZone(name)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !s.tzSet {
		return time.UTC, nil // as all programs of the system do
	}
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocationFromTZData(zoneName(path), data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return zone, nil
}

// zoneName returns the name from the link's target: Europe/Berlin for /usr/share/zoneinfo/Europe/Berlin.
func zoneName(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		if _, name, ok := strings.Cut(target, "/zoneinfo/"); ok {
			return name
		}
	}
	return "Local"
}

// ruleZone makes a zone of a POSIX rule such as CET-1CEST,M3.5.0,M10.5.0/3, which small systems
// keep in TZ. Package time reads rules only at the end of a zone file, so one is written around it.
func ruleZone(rule string) (*time.Location, error) {
	zone, err := time.LoadLocationFromTZData(rule, ruleData(rule))
	if err == nil {
		if name, _ := time.Now().In(zone).Zone(); name != "" {
			return zone, nil
		}
	}
	return nil, fmt.Errorf("TZ is %q, which is neither the name of a time zone nor a rule", rule)
}

// ruleData is a zone file (RFC 9636) of one local time type without a name and without
// transitions, so that the rule at its end governs all times.
func ruleData(rule string) []byte {
	var data []byte
	for range 2 { // a block with times of 32 bits and one with 64
		data = append(data, "TZif2"...)
		data = append(data, make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, 0, 1, 1} { // one type, one character of names
			data = binary.BigEndian.AppendUint32(data, n)
		}
		data = append(data, make([]byte, 6+1)...)
	}
	return append(data, "\n"+rule+"\n"...)
}
