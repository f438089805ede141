package humanize

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var errSpan = errors.New("must be a time span such as 60s, 5m, 1h30m or 7d")

var days = regexp.MustCompile(`^(\d+(?:\.\d+)?)([dw])(.*)$`)

// ParseSpan reads a span of time: as Go writes it, and with days and weeks before that.
func ParseSpan(text string) (time.Duration, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	sum := time.Duration(0)
	for {
		m := days.FindStringSubmatch(text)
		if m == nil {
			break
		}
		n, err := strconv.ParseFloat(m[1], 64)
		hours := n * 24
		if m[2] == "w" {
			hours *= 7
		}
		if err != nil || hours > 24*366*200 {
			return 0, errSpan
		}
		sum += time.Duration(hours * float64(time.Hour))
		if text = m[3]; text == "" {
			return sum, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 && sum > 0 {
		return 0, errSpan
	}
	return sum + d, nil
}

// Span writes a length of time to two digits or more: "0.4 s", "12 s", "4 min", "5 h", "3 days".
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// Length writes a length of media: to a tenth of a second below two minutes, then in hours, minutes and seconds.
func Length(d time.Duration) string {
	d = max(d, 0)
	if d < 2*time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// Days writes a length of time that is given in days, for a sentence: "18.0 hours", "3.5 days".
func Days(days float64) string {
	if days < 2 {
		return fmt.Sprintf("%.1f hours", days*24)
	}
	return fmt.Sprintf("%.1f days", days)
}

// ShortDays writes a length of time that is given in days, for a table: "18.0 h", "1.5 days".
func ShortDays(days float64) string {
	if days < 1 {
		return fmt.Sprintf("%.1f h", days*24)
	}
	return fmt.Sprintf("%.1f days", days)
}

// Bytes writes a size.
func Bytes(n int64) string {
	switch {
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", (n+999)/1000)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n < 1_000_000_000_000:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	default:
		return fmt.Sprintf("%.1f TB", float64(n)/1e12)
	}
}

// sizes are the units of ParseBytes, the longest name first.
var sizes = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseBytes reads a size of at least a byte with its unit: "500MB", "2 GiB". ok is false for another text.
func ParseBytes(text string) (n int64, ok bool) {
	text = strings.TrimSpace(text)
	for _, unit := range sizes {
		i := len(text) - len(unit.name)
		if i < 0 || !strings.EqualFold(text[i:], unit.name) {
			continue
		}
		number, err := strconv.ParseFloat(strings.TrimSpace(text[:i]), 64)
		if err != nil || !(number*unit.size >= 1 && number*unit.size <= 1<<60) {
			return 0, false
		}
		return int64(number * unit.size), true
	}
	return 0, false
}

// Bitrate writes bit/s.
func Bitrate(bps int64) string {
	if bps < 1_000_000 {
		return fmt.Sprintf("%d kbit/s", bps/1000)
	}
	return fmt.Sprintf("%.1f Mbit/s", float64(bps)/1e6)
}

// Count writes a number with its noun: "1 file", "2 files".
func Count[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	switch {
	case strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"):
		noun += "es"
	case strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ay") && !strings.HasSuffix(noun, "ey"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// List joins names for a sentence; none is "none".
func List(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
