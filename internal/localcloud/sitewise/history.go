package sitewise

import (
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// The limits of histories. Source: API reference, GetAssetPropertyValueHistory and BatchGetAssetPropertyValueHistory.
const (
	maxHistoryEntries = 16
	maxHistoryPage    = 20_000
	usualHistoryPage  = 100
)

// span selects values: those after its start, up to and with its end.
type span struct {
	Start     *date    `json:"startDate"`
	End       *date    `json:"endDate"`
	Qualities []string `json:"qualities"`
	Order     string   `json:"timeOrdering"`
}

func (s span) check() error {
	if s.Start != nil && s.End != nil && s.End.compare(s.Start.instant) < 0 {
		return refused(sitewisemodel.InvalidRequest, "endDate", "The endDate is before the startDate.")
	}
	return nil
}

func (s span) has(v tqv) bool {
	return (s.Start == nil || v.Time.compare(s.Start.instant) > 0) && (s.End == nil || v.Time.compare(s.End.instant) <= 0) &&
		(len(s.Qualities) == 0 || slices.Contains(s.Qualities, v.Quality))
}

// position is where a page of a history ended.
type position struct {
	Entry   int
	Time    instant
	Quality string
}

// after is the part of a span that is behind a position, in its order, at most limit of it.
func (r request) after(s span, k key, p *position, limit int) (list []tqv, more bool) {
	direction := 1
	if s.Order == "DESCENDING" {
		direction = -1
	}
	list = r.values.list(k, func(v tqv) bool {
		return s.has(v) && (p == nil || direction*v.compare(tqv{Time: p.Time, Quality: p.Quality}) > 0)
	})
	if direction < 0 {
		slices.Reverse(list)
	}
	if len(list) > limit {
		return list[:limit], true
	}
	return list, false
}

// pageSize is the number of values in an answer.
func pageSize(maxResults int) (int, error) {
	switch {
	case maxResults == 0:
		return usualHistoryPage, nil
	case maxResults > maxHistoryPage:
		return 0, refused(sitewisemodel.InvalidRequest, "maxResults", "The maxResults is at most %d.", maxHistoryPage)
	}
	return maxResults, nil
}

// endOf is the position behind the last value of a list.
func endOf(entry int, list []tqv) position {
	last := list[len(list)-1]
	return position{entry, last.Time, last.Quality}
}

type historyInput struct {
	target
	span
	page
}

func (r request) getHistory(in historyInput) (any, error) {
	limit, err := pageSize(in.MaxResults)
	if err == nil {
		err = in.check()
	}
	if err != nil {
		return nil, err
	}
	var from *position
	if err := readToken(in.NextToken, &from); err != nil {
		return nil, err
	}
	k, _, _, err := r.find(in.target, "GetAssetPropertyValueHistory", false)
	if err != nil {
		return nil, err
	}
	list, more := r.after(in.span, k, from, limit)
	next := ""
	if more {
		next = token(endOf(0, list))
	}
	return listed("assetPropertyValueHistory", orEmpty(list), next), nil
}

type historyEntry struct {
	target
	span
	ID string `json:"entryId"`
}

type batchHistoryInput struct {
	page
	Entries []historyEntry `json:"entries"`
}

type skippedEntry struct {
	ID     string         `json:"entryId"`
	Status string         `json:"completionStatus"`
	Error  map[string]any `json:"errorInfo,omitempty"`
}

// batchGetHistory fills a page with one entry after the other; those of earlier pages are skipped.
func (r request) batchGetHistory(in batchHistoryInput) (any, error) {
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.ID
	}
	left, err := pageSize(in.MaxResults)
	if err == nil {
		err = checkEntries(ids, maxHistoryEntries)
	}
	if err != nil {
		return nil, err
	}
	var from *position
	if err := readToken(in.NextToken, &from); err != nil {
		return nil, err
	}
	if from != nil && (from.Entry < 0 || from.Entry >= len(in.Entries)) {
		return nil, refused(sitewisemodel.InvalidRequest, "nextToken", "The nextToken is of a request with other entries.")
	}
	b := batchHistory{done: []map[string]any{}, failed: []failedEntry{}, skipped: []skippedEntry{}}
	for i, e := range in.Entries {
		if err := b.add(r, i, e, from, &left); err != nil {
			return nil, err
		}
		if b.next != "" {
			break
		}
	}
	out := map[string]any{"successEntries": b.done, "errorEntries": b.failed, "skippedEntries": b.skipped}
	if b.next != "" {
		out["nextToken"] = b.next
	}
	return out, nil
}

type batchHistory struct {
	done    []map[string]any
	failed  []failedEntry
	skipped []skippedEntry
	next    string
}

// add does the entry with that number, which may take what is left of the page.
func (b *batchHistory) add(r request, i int, e historyEntry, from *position, left *int) error {
	k, _, _, err := r.find(e.target, "BatchGetAssetPropertyValueHistory", false)
	if err == nil {
		err = e.check()
	}
	if from != nil && i < from.Entry {
		return b.skip(r, e.ID, err)
	}
	if err != nil {
		entry, err := failure(e.ID, err)
		b.failed = append(b.failed, entry)
		return err
	}
	start := from
	if from != nil && (i > from.Entry || from.Quality == "") {
		start = nil
	}
	list, more := r.after(e.span, k, start, *left)
	*left -= len(list)
	switch {
	case more && len(list) > 0:
		b.next = token(endOf(i, list))
	case more: // the page was full before: the entry is the next one's first
		b.next = token(position{Entry: i})
		return nil
	}
	b.done = append(b.done, map[string]any{"entryId": e.ID, "assetPropertyValueHistory": orEmpty(list)})
	return nil
}

// skip notes an entry that an earlier page had, with its error if it has one.
func (b *batchHistory) skip(r request, id string, err error) error {
	entry := skippedEntry{ID: id, Status: "SUCCESS"}
	if err != nil {
		failed, err := failure(id, err)
		if err != nil {
			return err
		}
		entry.Status = "ERROR"
		entry.Error = map[string]any{"errorCode": failed.Code, "errorTimestamp": awsapi.EpochOf(r.now)}
	}
	b.skipped = append(b.skipped, entry)
	return nil
}
