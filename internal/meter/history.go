package meter

import "slices"

// maxEntries bounds the history: more than three months, and some days on which the clock was set.
const maxEntries = 110

// entry is what was counted while the hub's clock showed one date.
type entry struct {
	Date     string `json:"date,omitempty"` // as time.DateOnly, in the hub's zone; empty while no date was known
	Sent     int64  `json:"sent"`           // bytes of TCP payload
	Received int64  `json:"received"`
}

func (e entry) payload() int64 { return e.Sent + e.Received }

// history has entries in the order in which they were counted, which is the order of true time, whatever the clock showed.
type history []entry

// book counts on a date, empty for one that is not known.
func (l *history) book(date string, sent, received int64) {
	list := *l
	n := len(list)
	// What was counted without a date between two entries of one date was counted on that date.
	if n > 1 && list[n-1].Date == "" && list[n-2].Date == date {
		list[n-2].Sent += list[n-1].Sent
		list[n-2].Received += list[n-1].Received
		list, n = list[:n-1], n-1
	}
	if n == 0 || list[n-1].Date != date {
		list = append(list, entry{Date: date})
		n++
	}
	list[n-1].Sent += sent
	list[n-1].Received += received
	if n > maxEntries { // the oldest joins the next one: later than it was, rather than never; all the years before stay plausible
		list[1].Sent = min(list[1].Sent+list[0].Sent, mostCap)
		list[1].Received = min(list[1].Received+list[0].Received, mostCap)
		list = slices.Delete(list, 0, 1)
	}
	*l = list
}

// today returns the last date that was known, empty for none.
func (l history) today() string {
	for _, e := range slices.Backward(l) {
		if e.Date != "" {
			return e.Date
		}
	}
	return ""
}

// since returns the index of the first entry that may belong to a period which began on that date and contains the last
// known one. An entry whose date contradicts most others was counted with a wrong clock, and one without a date with none:
// beside the start of the period they belong to it, so that nothing is missing.
func (l history) since(start string) int {
	believed := l.believed()
	first := len(l)
	for i := range l {
		if believed[i] && l[i].Date >= start {
			first = i
			break
		}
	}
	for first > 0 && !believed[first-1] {
		first--
	}
	return first
}

// payload returns the sum of the entries.
func (l history) payload() (sum int64) {
	for _, e := range l {
		sum += e.payload()
	}
	return sum
}

// believed returns which dates agree with each other and with the last one: the longest sequence, up to that one, in which
// no date is before its predecessor.
func (l history) believed() []bool {
	length := make([]int, len(l)) // of the longest sequence that ends there
	before := make([]int, len(l)) // the previous entry of that sequence, or -1
	last := -1
	for i, e := range l {
		before[i] = -1
		if e.Date == "" {
			continue
		}
		last, length[i] = i, 1
		for j := range i {
			if l[j].Date != "" && l[j].Date <= e.Date && length[j] >= length[i] {
				length[i], before[i] = length[j]+1, j
			}
		}
	}
	list := make([]bool, len(l))
	for i := last; i >= 0; i = before[i] {
		list[i] = true
	}
	return list
}
