package pressure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Zone is a thermal zone of the hub.
type Zone struct {
	Name    string  `json:"name"` // its type, cpu-thermal for example
	Celsius float64 `json:"celsius"`
	// Limit is its lowest trip point from which on the kernel slows the hub down or calls it hot; missing where it has none.
	Limit float64 `json:"limitCelsius,omitempty"`
}

// Hot says whether the zone is at its limit.
func (z Zone) Hot() bool { return z.Limit > 0 && z.Celsius >= z.Limit }

// Storage is an eMMC, with what it says of its wear.
type Storage struct {
	Device string `json:"device"` // mmcblk0 for example
	// UsedPercent is the upper end of the estimate, in steps of 10, of the more worn of its two kinds of memory; 110 for a life time
	// that is exceeded, 0 where it says nothing.
	UsedPercent int `json:"usedPercent,omitempty"`
	// PreEOL is what it says of its spare blocks: normal, warning (80 % are used), urgent (90 %); empty where it says nothing.
	PreEOL string `json:"preEol,omitempty"`
}

// exceeded is UsedPercent of a life time that is over.
const exceeded = 110

// ParseLifeTime reads life_time of an eMMC: the estimates of its two kinds of memory, in tenths (JEDEC 84-B51, 7.4.46). 0 = it says
// nothing.
func ParseLifeTime(text []byte) (usedPercent int, err error) {
	for field := range bytes.FieldsSeq(text) {
		tenths, err := parseHex(field)
		if err != nil || tenths > exceeded/10 {
			return 0, fmt.Errorf("life_time is not a pair of numbers from 0x00 to 0x0b: %w", err)
		}
		usedPercent = max(usedPercent, 10*tenths)
	}
	return usedPercent, nil
}

// preEOL are the values of pre_eol_info (JEDEC 84-B51, 7.4.45).
var preEOL = [...]string{"", "normal", preEOLWarning, preEOLUrgent}

const (
	preEOLWarning = "warning"
	preEOLUrgent  = "urgent"
)

var errPreEOL = errors.New("pre_eol_info is not a number from 0x00 to 0x03")

// ParsePreEOL reads pre_eol_info of an eMMC; empty = it says nothing.
func ParsePreEOL(text []byte) (string, error) {
	value, err := parseHex(bytes.TrimSpace(text))
	if err != nil || value >= len(preEOL) {
		return "", errPreEOL
	}
	return preEOL[value], nil
}

func parseHex(text []byte) (int, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(text), "0x"), 16, 8)
	return int(n), err
}

// ParseCelsius reads a temperature in thousandths of a degree. What no hub has is an error: drivers return it for "not known".
func ParseCelsius(text []byte) (float64, error) {
	const least, most = -60_000, 250_000
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err == nil && (n < least || n > most) {
		err = strconv.ErrRange
	}
	return float64(n) / 1000, err
}

// ParseDropped reads /proc/net/snmp: how many datagrams of UDP the kernel dropped as nobody read them in time.
func ParseDropped(text []byte) (dropped int64, ok bool) {
	var names []string
	for line := range bytes.Lines(text) {
		rest, udp := bytes.CutPrefix(line, []byte("Udp:"))
		if !udp {
			continue
		}
		fields := strings.Fields(string(rest))
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "RcvbufErrors" && i < len(fields) {
				n, err := strconv.ParseInt(fields[i], 10, 64)
				return n, err == nil && n >= 0
			}
		}
	}
	return 0, false
}

const (
	mostZones = 16 // hubs have one to ten
	mostTrips = 16
)

// zones reads the thermal zones, and whether the kernel slows the processor down because of heat.
func (r *Reader) zones() (zones []Zone, throttled bool) {
	const dir = "sys/class/thermal"
	entries, err := fs.ReadDir(r.root, dir)
	if err != nil {
		return nil, false
	}
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "thermal_zone") && len(zones) < mostZones:
			celsius, err := ParseCelsius(r.read(at + "/temp"))
			if err == nil {
				zones = append(zones, Zone{Name: r.word(at+"/type", entry.Name()), Celsius: celsius, Limit: r.limit(at)})
			}
		case strings.HasPrefix(entry.Name(), "cooling_device"):
			throttled = throttled || coolsProcessor(r.word(at+"/type", "")) && r.word(at+"/cur_state", "0") != "0"
		}
	}
	return zones, throttled
}

// coolsProcessor says whether a cooling device makes the processor slower: cpufreq-cpu0, thermal-cpufreq-0, cpuidle-…, Processor (ACPI).
func coolsProcessor(kind string) bool {
	return strings.Contains(kind, "cpufreq") || strings.Contains(kind, "cpuidle") || kind == "Processor"
}

// limit is the lowest trip point of a zone that means heat; 0 = it has none.
func (r *Reader) limit(zone string) (limit float64) {
	for n := range mostTrips {
		trip := fmt.Sprintf("%s/trip_point_%d_", zone, n)
		kind := r.word(trip+"type", "")
		if kind == "" {
			return limit
		}
		celsius, err := ParseCelsius(r.read(trip + "temp"))
		if err == nil && celsius > 0 && (kind == "passive" || kind == "hot" || kind == "critical") && (limit == 0 || celsius < limit) {
			limit = celsius
		}
	}
	return limit
}

// storage reads what eMMCs say of their wear. SD cards and disks say nothing there.
func (r *Reader) storage() (list []Storage) {
	const dir = "sys/block"
	entries, err := fs.ReadDir(r.root, dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "mmcblk") || strings.Contains(name, "boot") || strings.Contains(name, "rpmb") {
			continue // its partitions that are not for data are the same chip
		}
		s := Storage{Device: name}
		used, err := ParseLifeTime(r.read(path.Join(dir, name, "device/life_time")))
		if err == nil {
			s.UsedPercent = used
		}
		if state, err := ParsePreEOL(r.read(path.Join(dir, name, "device/pre_eol_info"))); err == nil {
			s.PreEOL = state
		}
		if s.UsedPercent > 0 || s.PreEOL != "" {
			list = append(list, s)
		}
	}
	return list
}

// word reads a file of one word, as it can be shown; what cannot be read is the other one.
func (r *Reader) word(name, other string) string {
	if text := health.Clean(strings.TrimSpace(string(r.read(name))), health.MaxPart); text != "" {
		return text
	}
	return other
}
