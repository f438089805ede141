package kvslimit

import (
	"regexp"
	"strings"
)

var streamPattern = regexp.MustCompile(StreamName)

// IsStreamName also refuses names of dots only, which could not be a directory.
func IsStreamName(name string) bool {
	return streamPattern.MatchString(name) && strings.Trim(name, ".") != ""
}
