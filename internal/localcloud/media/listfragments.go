package media

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// defaultListed is how many fragments an answer of ListFragments has without MaxResults, which AWS does not document.
const defaultListed = 100

// listFragmentsRequest is the body of ListFragments (API reference).
type listFragmentsRequest struct {
	StreamName, StreamARN string
	MaxResults            int
	NextToken             string
	FragmentSelector      *fragmentSelector
}

// stream is the name or ARN in the request.
func (q listFragmentsRequest) stream() string { return cmp.Or(q.StreamARN, q.StreamName) }

type fragmentSelector struct {
	FragmentSelectorType string
	TimestampRange       struct{ StartTimestamp, EndTimestamp awsapi.Epoch }
}

// listedFragment is a fragment in the answer.
type listedFragment struct {
	FragmentNumber                     string
	FragmentSizeInBytes                int64
	ProducerTimestamp, ServerTimestamp awsapi.Epoch
	FragmentLengthInMilliseconds       int64

	place place
}

// place orders answers: by a hash, as AWS promises no order, and so that what arrives meanwhile neither repeats nor
// hides others.
type place struct {
	Hash   uint64 `json:"h"`
	Number string `json:"n"`
}

func placeOf(number string) place {
	h := fnv.New64a()
	_, _ = h.Write([]byte(number)) // never fails
	return place{Hash: h.Sum64(), Number: number}
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.Hash, other.Hash), cmp.Compare(p.Number, other.Number))
}

// listToken is what NextToken holds.
type listToken struct {
	Of    string `json:"of"` // which list it continues
	After place  `json:"after"`
}

// Serves reports whether the path of a URL is one of the data plane's.
func Serves(path string) bool {
	return path == "/putMedia" || path == "/getMedia" || path == kvsmodel.ListFragments.Path
}

// listFragments answers which fragments are stored and not older than the stream's retention, a page of them.
func (s *Service) listFragments(w http.ResponseWriter, r *http.Request) {
	request, answer, err := s.list(r)
	if down := (*resetOrder)(nil); errors.As(err, &down) {
		s.refuseByReset(w, r, opListFragments, request.stream(), "while the stream is down")
		return
	}
	if err != nil {
		s.refuse(w, r, opListFragments, request.stream(), err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // the client may be gone
}

// resetOrder is the error of a request whose connection a fault resets.
type resetOrder struct{}

func (*resetOrder) Error() string { return "the stream is down" }

func (s *Service) list(r *http.Request) (request listFragmentsRequest, answer []byte, err error) {
	if s.o.Verify != nil {
		if err := s.o.Verify(r); err != nil {
			return request, nil, err
		}
	}
	if request, err = readListRequest(r); err != nil {
		return request, nil, err
	}
	info, ok := s.o.Streams.Stream(request.stream())
	if !ok {
		member := "StreamName"
		if request.StreamARN != "" {
			member = "StreamARN"
		}
		return request, nil, awsapi.Errorf(http.StatusNotFound, ResourceNotFound, "member "+member,
			"The requested stream %s is not found or not active.", request.stream())
	}
	st := s.stream(info.Name)
	if s.faults.isDown(st.name) {
		return request, nil, &resetOrder{}
	}
	if !s.metadata.Take(st.name, cmp.Or(request.MaxResults, defaultListed)) {
		return request, nil, awsapi.Errorf(http.StatusBadRequest, ClientLimitExceeded, "the stream",
			"more than %d points per second of the fragment-metadata quota of this stream", s.metadata.N)
	}
	after, err := request.after(info)
	if err != nil {
		return request, nil, err
	}
	answer, err = json.Marshal(request.page(st.listed(request.FragmentSelector, info, s.o.Now()), info, after))
	return request, answer, err
}

// readListRequest reads the body of a request and checks its shape.
func readListRequest(r *http.Request) (request listFragmentsRequest, err error) {
	body, err := awsapi.ReadBody(r)
	if err != nil {
		return request, err
	}
	if err := kvsmodel.ListFragments.Decode(body, &request); err != nil {
		return request, err
	}
	if f := request.FragmentSelector; f != nil && f.TimestampRange.EndTimestamp.Before(f.TimestampRange.StartTimestamp.Time) {
		return request, badRequest("member FragmentSelector.TimestampRange", "StartTimestamp must not be after EndTimestamp")
	}
	return request, nil
}

// of says which list a request is about, so that a token continues no other.
func (q listFragmentsRequest) of(info StreamInfo) string {
	text := info.ARN
	if f := q.FragmentSelector; f != nil {
		text += fmt.Sprint(f.FragmentSelectorType, f.TimestampRange.StartTimestamp.UnixMilli(), f.TimestampRange.EndTimestamp.UnixMilli())
	}
	return fmt.Sprintf("%x", placeOf(text).Hash)
}

// after is the place behind which the page begins; nil = at the start.
func (q listFragmentsRequest) after(info StreamInfo) (*place, error) {
	if q.NextToken == "" {
		return nil, nil
	}
	var token listToken
	text, err := base64.StdEncoding.DecodeString(q.NextToken)
	if err == nil {
		err = json.Unmarshal(text, &token)
	}
	if err != nil || token.Of != q.of(info) {
		return nil, badRequest("member NextToken", "NextToken is not one that an earlier answer to this request returned")
	}
	return &token.After, nil
}

// listed returns what the stream holds of a selection, in the order of answers.
func (st *streamState) listed(selector *fragmentSelector, info StreamInfo, now time.Time) (list []listedFragment) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, f := range st.fragments {
		if !info.Retains(f, now) || !selector.takes(f) {
			continue
		}
		list = append(list, listedFragment{
			FragmentNumber: f.Number, FragmentSizeInBytes: f.Bytes + int64(len(f.Lead)+len(f.Tail)),
			ProducerTimestamp: awsapi.EpochOf(f.Producer), ServerTimestamp: awsapi.EpochOf(f.Server),
			FragmentLengthInMilliseconds: f.Duration.Milliseconds(), place: placeOf(f.Number),
		})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].place.compare(list[j].place) < 0 })
	return list
}

// takes reports whether a fragment starts within the range, both of whose ends belong to it; nil takes all.
func (s *fragmentSelector) takes(f Fragment) bool {
	if s == nil {
		return true
	}
	at := f.Producer
	if s.FragmentSelectorType == "SERVER_TIMESTAMP" {
		at = f.Server
	}
	return !at.Before(s.TimestampRange.StartTimestamp.Time) && !at.After(s.TimestampRange.EndTimestamp.Time)
}

// listedPage is the answer.
type listedPage struct {
	Fragments []listedFragment
	NextToken string `json:",omitempty"`
}

// page cuts a page out of a list.
func (q listFragmentsRequest) page(list []listedFragment, info StreamInfo, after *place) listedPage {
	if after != nil {
		at, found := slices.BinarySearchFunc(list, *after, func(f listedFragment, p place) int { return f.place.compare(p) })
		if found {
			at++
		}
		list = list[at:]
	}
	out := listedPage{Fragments: []listedFragment{}}
	limit := cmp.Or(q.MaxResults, defaultListed)
	out.Fragments = append(out.Fragments, list[:min(limit, len(list))]...)
	if len(list) > limit {
		token, _ := json.Marshal(listToken{Of: q.of(info), After: list[limit-1].place}) // always marshals
		out.NextToken = base64.StdEncoding.EncodeToString(token)
	}
	return out
}

// Lose makes the stream's stored fragments that lost chooses disappear, as if the cloud had lost them, and returns how
// many there were.
func (s *Service) Lose(stream string, lost func(Fragment) bool) (int, error) {
	st := s.stream(stream)
	var numbers []string
	st.update(func() {
		left := make([]Fragment, 0, len(st.fragments)) // those who read the list keep the former one
		for _, f := range st.fragments {
			if lost(f) {
				numbers = append(numbers, f.Number)
				st.frames -= f.Frames
				continue
			}
			left = append(left, f)
		}
		st.fragments = left
	})
	return len(numbers), s.archive.Lose(stream, numbers)
}

// FragmentMetadata is the quota that ListFragments shares with other operations: how many fragments they may look up.
func (s *Service) FragmentMetadata() *callrate.Points { return s.metadata }

// ForgetCalls returns all of its quota to a stream, so that tests need not wait.
func (s *Service) ForgetCalls(stream string) { s.metadata.Forget(stream) }
