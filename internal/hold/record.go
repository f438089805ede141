package hold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
)

// record is a line of the file: a hold that was added, or the end of one.
type record struct {
	Add    *Hold    `json:"add,omitempty"`
	Remove *removal `json:"remove,omitempty"`
}

// removal is the end of a hold.
type removal struct {
	ID string    `json:"id"`
	By string    `json:"by"` // who asked
	At time.Time `json:"at"`
}

// maxRecord bounds a line, in bytes.
const maxRecord = 16 << 10

// line encodes a record: its JSON, behind the checksum.
func (r record) line() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return crcline.Append(nil, data), nil
}

// errRecord means that a line is not a record.
var errRecord = errors.New("not a record")

// parseRecord parses a line without its line feed.
func parseRecord(line []byte) (r record, err error) {
	data, ok := crcline.Body(line)
	if !ok || len(line) > maxRecord {
		return r, errRecord
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, errRecord
	}
	if (r.Add == nil) == (r.Remove == nil) || r.Add != nil && !r.Add.usable() {
		return r, errRecord
	}
	return r, nil
}

// content is what a file says.
type content struct {
	live  []Hold // in the order in which they were added
	lines int
	torn  bool // the last record was not written completely, and so not acknowledged
}

// parse reads a file. A record that is damaged makes all of it unreadable, except for a last one that a power cut left incomplete: without
// its line feed, or with zeros in it, as file systems leave them. A single zero may be another damage.
func parse(data []byte) (c content, err error) {
	for len(data) > 0 {
		line, rest, ended := bytes.Cut(data, []byte{'\n'})
		r, err := parseRecord(line)
		if err != nil && !ended && len(line) > 0 { // only its line feed is wrong: the record was complete
			r, err = parseRecord(line[:len(line)-1])
		}
		switch {
		case err == nil && !ended:
			c.torn = true // its line feed is missing
		case err != nil && (!ended || len(rest) == 0 && bytes.Count(line, []byte{0}) > 1):
			c.torn = true
			return c, nil
		case err != nil:
			return c, fmt.Errorf("line %d is damaged", c.lines+1)
		}
		c.lines++
		c.apply(r)
		data = rest
	}
	return c, nil
}

// apply follows a record.
func (c *content) apply(r record) {
	id := ""
	if r.Add != nil {
		id = r.Add.ID
	} else {
		id = r.Remove.ID
	}
	c.live = slices.DeleteFunc(c.live, func(h Hold) bool { return h.ID == id })
	if r.Add != nil {
		c.live = append(c.live, *r.Add)
	}
}

// encode is the file that has only these holds.
func encode(live []Hold) ([]byte, error) {
	var data []byte
	for _, h := range live {
		line, err := record{Add: &h}.line()
		if err != nil {
			return nil, err
		}
		data = append(data, line...)
	}
	return data, nil
}
