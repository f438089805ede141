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
	quarantineName = "quarantine"
	markerName     = ".stream"
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
	start   int64 // Unix ms
	length  int64 // ms to the last frame; 0 while writing
	state   State
	refused bool
	suffix  string
}

// parseName reads a file name; ok is false for files that are not ours.
func parseName(name string) (p parsed, ok bool) {
	for _, suffix := range []string{writingSuffix, sealedSuffix, uploadedSuffix, refusedSuffix, garbageSuffix, progressSuffix} {
		stem, has := strings.CutSuffix(name, suffix)
		if !has {
			continue
		}
		p.suffix = suffix
		stamp, length, hasLength := strings.Cut(stem, "+")
		t, err := time.Parse(timeLayout, stamp)
		if err != nil {
			return p, false
		}
		p.start = t.UnixMilli()
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
		p.length, err = strconv.ParseInt(length, 10, 64)
		return p, err == nil && p.length >= 0 && p.length <= maxLength
	}
	return p, false
}

func stamp(start int64) string { return time.UnixMilli(start).UTC().Format(timeLayout) }

func writingName(start int64) string { return stamp(start) + writingSuffix }

func progressName(start int64) string { return stamp(start) + progressSuffix }

// finishedName is the name of a sealed, uploaded or refused segment, or of garbage.
func finishedName(start, length int64, suffix string) string {
	return fmt.Sprintf("%s+%d%s", stamp(start), length, suffix)
}

func (e entry) name() string {
	switch {
	case e.state == Writing:
		return writingName(e.start)
	case e.state == Sealed:
		return finishedName(e.start, int64(e.length), sealedSuffix)
	case e.refused:
		return finishedName(e.start, int64(e.length), refusedSuffix)
	default:
		return finishedName(e.start, int64(e.length), uploadedSuffix)
	}
}
