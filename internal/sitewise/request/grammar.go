package request

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// maxAhead is how far in the future a request may end: it stays open until then.
	maxAhead = 24 * time.Hour
	// maxShown bounds a request in a sentence, in runes.
	maxShown = 80
	// maxMessage is what a message may have. Source: AWS IoT Core quotas, payload of a publication: 128 KB.
	maxMessage = 128 << 10
	// maxValues bounds the values of one message. Source: SiteWise quotas, values of an entry: 10.
	maxValues = 100
)

// wanted is a request that can be followed: live, or a range.
type wanted struct {
	live     bool
	from, to time.Time
}

// Milliseconds of times that cannot be meant: numbers of seconds, and years that a clock never shows.
var (
	firstMillis = time.Date(2001, time.September, 9, 0, 0, 0, 0, time.UTC).UnixMilli()
	lastMillis  = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

var rangePattern = regexp.MustCompile(`^(\d{1,16})-(\d{1,16})$`)

// parse reads the value of VideoUploadRequest. Where it cannot be followed, wrong continues a sentence that begins with it.
func parse(text string, now time.Time) (w wanted, wrong string) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "live") {
		return wanted{live: true}, ""
	}
	parts := rangePattern.FindStringSubmatch(text)
	if parts == nil {
		return w, "must be live, or a start and an end in milliseconds since 1970, such as 1767225600000-1767229200000"
	}
	from, _ := strconv.ParseInt(parts[1], 10, 64) // at most 16 digits
	to, _ := strconv.ParseInt(parts[2], 10, 64)
	switch {
	case to <= from:
		return w, "must have an end that is after its start"
	case from < firstMillis || to > lastMillis:
		return w, "must have times in milliseconds since 1970: these are not from 2001 to 2200"
	}
	w.from, w.to = time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()
	if w.to.After(now.Add(maxAhead)) {
		return w, fmt.Sprintf("must end within %d h from now", int(maxAhead.Hours()))
	}
	return w, ""
}

// Shown is a request for people.
func shown(text string) string { return health.Clean(strings.TrimSpace(text), maxShown) }

// arrival is a value of VideoUploadRequest as it came. It is comparable.
type arrival struct {
	Asset string
	Time  time.Time // UTC
	Text  string
}

// notification is what SiteWise publishes. Source: SiteWise User Guide, "Query messages from property notifications".
type notification struct {
	Payload struct {
		AssetID    string `json:"assetId"`
		PropertyID string `json:"propertyId"`
		Values     []struct {
			Timestamp struct {
				Seconds float64 `json:"timeInSeconds"`
				Nanos   int64   `json:"offsetInNanos"`
			} `json:"timestamp"`
			Value struct {
				Text *string `json:"stringValue"`
			} `json:"value"`
		} `json:"values"`
	} `json:"payload"`
}

// parseNotification reads a message of SiteWise. What has no text is left out; ok is false when it cannot be read at all.
func parseNotification(payload []byte) (property string, list []arrival, ok bool) {
	var n notification
	if len(payload) > maxMessage || json.Unmarshal(payload, &n) != nil || n.Payload.AssetID == "" || len(n.Payload.Values) > maxValues {
		return "", nil, false
	}
	for _, v := range n.Payload.Values {
		if v.Value.Text == nil || v.Timestamp.Seconds < 0 || v.Timestamp.Seconds > float64(lastMillis)/1000 {
			continue
		}
		nanos := v.Timestamp.Nanos
		if nanos < 0 || nanos >= int64(time.Second) {
			nanos = 0
		}
		at := time.Unix(int64(v.Timestamp.Seconds), nanos).UTC()
		list = append(list, arrival{Asset: n.Payload.AssetID, Time: at, Text: *v.Value.Text})
	}
	return n.Payload.PropertyID, list, true
}
