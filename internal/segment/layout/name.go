package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The permissions of files and directories that the store creates.
const (
	FileMode      = 0o640
	DirectoryMode = 0o750
)

// The suffixes of the names of a segment's files.
const (
	SegmentSuffix  = ".mkv" // of all that have media
	WritingSuffix  = ".writing.mkv"
	SealedSuffix   = ".sealed.mkv"
	UploadedSuffix = ".uploaded.mkv"
	RefusedSuffix  = ".refused.mkv"
	GarbageSuffix  = ".garbage"
	ProgressSuffix = ".progress"
	DoubtSuffix    = ".doubt"
)

// The other files in a stream's directory.
const (
	StreamFileName = ".stream"
	ClockFileName  = ".clock" // which times are wrong, and when epochs began
	HoldsFileName  = ".holds" // what nothing may delete
	GapsFileName   = ".gaps"  // where nothing was recorded within segments
	QuarantineName = "quarantine"
)

const (
	timeLayout = "20060102T150405.000Z"
	// epochPrefix precedes the number of an epoch other than the first. So such names sort after those of the first epoch,
	// and versions without epochs ignore them.
	epochPrefix = "e"
	epochDigits = 6
	// maxPlainName keeps directory names well below the 255 bytes that file systems allow.
	maxPlainName = 200
)

// MaxEpoch is the last epoch for which there is a name.
const MaxEpoch = 999_999

// MaxLength in ms is the most that an entry can hold: 49 days, while segments end within an hour or two.
const MaxLength = math.MaxUint32

// plainName matches stream names that can be directory names unchanged. KVS allows [a-zA-Z0-9_.-]{1,256} (API,
// CreateStream), so "." and ".." must be excluded.
var plainName = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$`)

// DirectoryOf returns a stream's directory name, which never leads out of the recording directory.
func DirectoryOf(stream string) string {
	if len(stream) <= maxPlainName && plainName.MatchString(stream) {
		return stream
	}
	return escapedDirectory(stream)
}

// escapedDirectory returns a directory name that is not the name of any stream, for a stream whose name cannot be one.
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

// DirectoriesOf returns the names that a stream's directory may have: its own, if it can be a directory name, and the
// escaped one, which is used where something else has the first.
func DirectoriesOf(stream string) []string {
	if plain, escaped := DirectoryOf(stream), escapedDirectory(stream); plain != escaped {
		return []string{plain, escaped}
	}
	return []string{escapedDirectory(stream)}
}

// IsDirectoryOf reports whether a directory of that name, with a file of the stream, is the stream's. File systems that
// ignore case may return a name in another case.
func IsDirectoryOf(name, stream string) bool {
	return slices.ContainsFunc(DirectoriesOf(stream), func(own string) bool { return strings.EqualFold(own, name) })
}

// Name is the parsed name of a file.
type Name struct {
	ID
	Length  int64 // ms to the last frame; 0 while writing
	State   State
	Refused bool
	Suffix  string
}

// kinds are the suffixes of the names of a segment's files, with what each means. Only names of finished segments and of
// garbage have a length: each file has only one possible name, otherwise a segment could have two files of a kind.
var kinds = []struct {
	suffix            string
	state             State
	refused, measured bool
}{
	{suffix: WritingSuffix},
	{suffix: SealedSuffix, state: Sealed, measured: true},
	{suffix: UploadedSuffix, state: Uploaded, measured: true},
	{suffix: RefusedSuffix, state: Uploaded, refused: true, measured: true},
	{suffix: GarbageSuffix, measured: true},
	{suffix: ProgressSuffix},
	{suffix: DoubtSuffix},
}

// ParseName parses a file name; ok is false for files that are not the agent's.
func ParseName(name string) (p Name, ok bool) {
	for _, kind := range kinds {
		stem, has := strings.CutSuffix(name, kind.suffix)
		if !has {
			continue
		}
		p.Suffix, p.State, p.Refused = kind.suffix, kind.state, kind.refused
		begin, length, measured := strings.Cut(stem, "+")
		if p.ID, ok = ParseID(begin); !ok || !measured {
			return p, ok && !kind.measured
		}
		var err error
		p.Length, err = strconv.ParseInt(length, 10, 64)
		return p, kind.measured && err == nil && p.Length >= 0 && p.Length <= MaxLength && strconv.FormatInt(p.Length, 10) == length
	}
	return p, false
}

// WritingName returns the name of a segment that is being written.
func WritingName(k ID) string { return k.String() + WritingSuffix }

// DoubtName returns the name of the file that marks a segment of which a sync failed.
func DoubtName(k ID) string { return k.String() + DoubtSuffix }

// ProgressName returns the name of the side file with a segment's upload progress.
func ProgressName(k ID) string { return k.String() + ProgressSuffix }

// FinishedName returns the name of a sealed, uploaded or refused segment, or of garbage.
func FinishedName(k ID, length int64, suffix string) string {
	return fmt.Sprintf("%s+%d%s", k, length, suffix)
}
