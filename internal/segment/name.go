package segment

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	timeLayout     = "20060102T150405.000Z"
	writingSuffix  = ".writing.mkv"
	sealedSuffix   = ".sealed.mkv"
	uploadedSuffix = ".uploaded.mkv"
	refusedSuffix  = ".refused.mkv"
	garbageSuffix  = ".garbage"
	progressSuffix = ".progress"
	doubtSuffix    = ".doubt"
	quarantineName = "quarantine"
	markerName     = ".stream"
	// epochPrefix stands before the number of an epoch other than the first. So such names come after
	// those of the first epoch, and who knows no epochs does not take them for segments.
	epochPrefix = "e"
	epochDigits = 6
	maxEpoch    = 999_999
	// maxPlainName keeps directory names well below the 255 bytes that file systems allow.
	maxPlainName = 200
)

// plainName matches stream names that serve as directory names as they are. KVS allows
// [a-zA-Z0-9_.-]{1,256} (API, CreateStream), so "." and ".." must be kept apart.
var plainName = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$`)

// directoryOf gives a stream's directory name, which never leaves the recording directory.
func directoryOf(stream string) string {
	if len(stream) <= maxPlainName && plainName.MatchString(stream) {
		return stream
	}
	return escapedDirectory(stream)
}

// escapedDirectory gives a directory name that no stream has for its own, for a stream whose name cannot be one.
func escapedDirectory(stream string) string {
	sum := sha256.Sum256([]byte(stream))
	head := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '_'
	}, stream)
	return head[:min(len(head), 64)] + "%" + hex.EncodeToString(sum[:16])
}

// parsed is what a file's name says.
type parsed struct {
	id
	length  int64 // ms to the last frame; 0 while writing
	state   State
	refused bool
	suffix  string
}

// parseName reads a file name; ok is false for files that are not ours.
func parseName(name string) (p parsed, ok bool) {
	for _, suffix := range []string{writingSuffix, sealedSuffix, uploadedSuffix, refusedSuffix, garbageSuffix, progressSuffix, doubtSuffix} {
		stem, has := strings.CutSuffix(name, suffix)
		if !has {
			continue
		}
		p.suffix = suffix
		begin, length, hasLength := strings.Cut(stem, "+")
		if p.id, has = parseID(begin); !has {
			return p, false
		}
		switch suffix {
		case sealedSuffix:
			p.state = Sealed
		case uploadedSuffix:
			p.state = Uploaded
		case refusedSuffix:
			p.state, p.refused = Uploaded, true
		}
		if !hasLength {
			return p, p.state == Writing
		}
		var err error
		p.length, err = strconv.ParseInt(length, 10, 64)
		return p, err == nil && p.length >= 0 && p.length <= maxLength && strconv.FormatInt(p.length, 10) == length
	}
	return p, false
}

// parseID reads the begin of a file name. Only the form that id.String has is one: two names of one
// segment would be two files of it.
func parseID(s string) (k id, ok bool) {
	stamp := s
	if rest, has := strings.CutPrefix(s, epochPrefix); has {
		number, time, _ := strings.Cut(rest, "-")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return k, false
		}
		k.epoch, stamp = uint32(n), time
	}
	t, err := time.Parse(timeLayout, stamp)
	if err != nil {
		return k, false
	}
	k.start = t.UnixMilli()
	return k, k.epoch <= maxEpoch && k.String() == s
}

// String is what the names of a segment's files begin with.
func (k id) String() string {
	if k.epoch == 0 {
		return stamp(k.start)
	}
	return fmt.Sprintf("%s%0*d-%s", epochPrefix, epochDigits, k.epoch, stamp(k.start))
}

func stamp(start int64) string { return time.UnixMilli(start).UTC().Format(timeLayout) }

func writingName(k id) string { return k.String() + writingSuffix }

func doubtName(k id) string { return k.String() + doubtSuffix }

func progressName(k id) string { return k.String() + progressSuffix }

// finishedName is the name of a sealed, uploaded or refused segment, or of garbage.
func finishedName(k id, length int64, suffix string) string {
	return fmt.Sprintf("%s+%d%s", k, length, suffix)
}

func (e entry) name() string {
	switch {
	case e.state == Writing:
		return writingName(e.id)
	case e.state == Sealed:
		return finishedName(e.id, int64(e.length), sealedSuffix)
	case e.refused:
		return finishedName(e.id, int64(e.length), refusedSuffix)
	default:
		return finishedName(e.id, int64(e.length), uploadedSuffix)
	}
}
