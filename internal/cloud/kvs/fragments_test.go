package kvs

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

// TestStoredFragmentsListsAllPages, asks again for a page that was throttled, cut or refused for a moment, and asks once for the endpoint.
func TestStoredFragmentsListsAllPages(t *testing.T) {
	t.Parallel()
	var endpoints, failed, throttled atomic.Int32
	server, cfg := serve(t, nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			StreamName, APIName, NextToken string
			MaxResults                     int
			FragmentSelector               struct {
				FragmentSelectorType string
				TimestampRange       struct{ StartTimestamp, EndTimestamp float64 }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.StreamName != "door" {
			t.Errorf("%s is about %q: %v", r.URL.Path, in.StreamName, err)
		}
		if r.URL.Path == "/getDataEndpoint" {
			if endpoints.Add(1); in.APIName != "LIST_FRAGMENTS" {
				t.Errorf("the endpoint is for %s", in.APIName)
			}
			fmt.Fprintf(w, `{"DataEndpoint":%q}`, server.URL)
			return
		}
		between := in.FragmentSelector.TimestampRange
		if r.URL.Path != "/listFragments" || in.MaxResults != 1000 || in.FragmentSelector.FragmentSelectorType != "PRODUCER_TIMESTAMP" ||
			between.StartTimestamp != 100.5 || between.EndTimestamp != 200 {
			t.Errorf("the request is %s %+v", r.URL.Path, in)
		}
		switch {
		case in.NextToken == "" && failed.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case in.NextToken == "":
			fmt.Fprint(w, `{"NextToken":"b","Fragments":[{"FragmentNumber":"1","FragmentSizeInBytes":7,"ProducerTimestamp":150.25,`+
				`"ServerTimestamp":1.5E2,"FragmentLengthInMilliseconds":1960}]}`)
		case throttled.Add(1) == 1:
			w.Header().Set("X-Amzn-ErrorType", "ClientLimitExceededException")
			w.WriteHeader(http.StatusBadRequest)
		case throttled.Load() == 2: // the connection ends within the answer
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"Fragments":[{"FragmentNum`)
		default:
			fmt.Fprint(w, `{"Fragments":[{"FragmentNumber":"2"}]}`)
		}
	})
	c := New(Options{Config: awsclient.Of(cfg)})
	var all []StoredFragment
	must(t, c.StoredFragments(t.Context(), "door", time.UnixMilli(100500), time.Unix(200, 0), func(page []StoredFragment) {
		all = append(all, page...)
	}))
	if len(all) != 2 || all[1].Number != "2" || all[0].Number != "1" || all[0].Bytes != 7 || all[0].Length != 1960*time.Millisecond ||
		all[0].Producer.UnixMilli() != 150250 || all[0].Server.Unix() != 150 {
		t.Errorf("listed %+v", all)
	}
	if endpoints.Load() != 1 || throttled.Load() != 3 || failed.Load() != 2 {
		t.Errorf("%d calls for the endpoint, %d for the second page", endpoints.Load(), throttled.Load())
	}
}

func TestStoredFragmentsNamesWhatFailed(t *testing.T) {
	t.Parallel()
	for want, row := range map[string]struct {
		path, answer, code string
		status             int
	}{
		"ListFragments of stream door was answered with HTTP status 403": {"/listFragments", `{}`, "AccessDeniedException", 403},
		"GetDataEndpoint of stream door was answered with HTTP status":   {"/getDataEndpoint", `{}`, "ResourceNotFoundException", 404},
		"the pages of the answer repeat":                                 {"/listFragments", `{"NextToken":"a"}`, "", 200},
	} {
		server, cfg := serve(t, nil)
		server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != row.path {
				fmt.Fprintf(w, `{"DataEndpoint":%q}`, server.URL)
				return
			}
			w.Header().Set("X-Amzn-ErrorType", row.code)
			w.WriteHeader(row.status)
			fmt.Fprint(w, row.answer)
		})
		err := New(Options{Config: awsclient.Of(cfg)}).StoredFragments(t.Context(), "door", time.Unix(1, 0), time.Unix(2, 0),
			func([]StoredFragment) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it fails with %v, want %s", err, want)
		}
		var answer *RequestError
		if row.status == 403 && (!errors.As(err, &answer) || answer.Meaning.Kind != awserr.Denied || !IsDenied(err)) {
			t.Errorf("%v does not count as a denial", err)
		}
	}
}

// TestSeveralListsOfAStreamKeepItsQuota, and those of another stream do not wait for them.
func TestSeveralListsOfAStreamKeepItsQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pace listPace
		var mu sync.Mutex
		var turns []time.Duration
		began := time.Now()
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				for range 4 {
					time.Sleep(pace.until("door", time.Now()))
					mu.Lock()
					turns = append(turns, time.Since(began))
					mu.Unlock()
				}
			})
		}
		group.Wait()
		slices.Sort(turns)
		for i := 5; i < len(turns); i++ {
			if turns[i]-turns[i-5] < time.Second {
				t.Errorf("calls %d to %d begin within %v: %v", i-5, i, turns[i]-turns[i-5], turns)
			}
		}
		if wait := pace.until("yard", time.Now()); wait != 0 {
			t.Errorf("another stream waits for %v", wait)
		}
	})
}
