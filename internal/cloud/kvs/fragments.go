package kvs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	archivedtypes "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	// listSpacing is the time between two lists of a stream: a call a second is left to others.
	listSpacing = time.Second / (kvslimit.ListsPerSecond - 1)
	// throttledTries is how often a page is asked for that the service throttles, and brokenTries where the line or the service fails: a
	// day has many pages, and one broken connection must not end a listing.
	throttledTries = 6
	brokenTries    = 3
	// maxStored bounds a listing: a day of fragments of 1 s has 87 pages.
	maxStored = 1_000_000
)

// StoredFragment is a fragment that the service has stored.
type StoredFragment struct {
	Number           string // decimal
	Producer, Server time.Time
	Length           time.Duration
	Bytes            int64
}

// errTooManyStored ends a listing that nothing can be done with.
var errTooManyStored = errors.New("the service lists more than a million fragments")

// StoredFragments lists the fragments of a stream whose producer timestamps are in [from, to], in any order, and calls page
// with each part of the list. It keeps the service's quota for the stream, also together with other calls of this client.
func (c *Client) StoredFragments(ctx context.Context, stream string, from, to time.Time, page func([]StoredFragment)) error {
	const operation = "ListFragments"
	in := &archived.ListFragmentsInput{StreamName: &stream, MaxResults: aws.Int64(kvslimit.FragmentsPerPage),
		FragmentSelector: &archivedtypes.FragmentSelector{
			FragmentSelectorType: archivedtypes.FragmentSelectorTypeProducerTimestamp,
			TimestampRange:       &archivedtypes.TimestampRange{StartTimestamp: &from, EndTimestamp: &to},
		}}
	var pages pageWalk
	for listed := 0; ; {
		out, err := c.listFragments(ctx, stream, in)
		if err != nil {
			return err
		}
		list := make([]StoredFragment, len(out.Fragments))
		for i, f := range out.Fragments {
			list[i] = StoredFragment{
				Number: aws.ToString(f.FragmentNumber), Producer: aws.ToTime(f.ProducerTimestamp), Server: aws.ToTime(f.ServerTimestamp),
				Length: time.Duration(f.FragmentLengthInMilliseconds) * time.Millisecond, Bytes: f.FragmentSizeInBytes,
			}
		}
		if listed += len(list); listed > maxStored {
			return callError(operation, stream, errTooManyStored)
		}
		page(list)
		in.NextToken = out.NextToken
		if more, err := pages.after(in.NextToken); err != nil {
			return callError(operation, stream, err)
		} else if !more {
			return nil
		}
	}
}

// tries is how often a page is asked for that is answered with an error of that kind after that time: who waited long for one does not wait
// for it again.
func tries(kind awserr.Kind, took time.Duration) int {
	switch {
	case kind == awserr.Throttled:
		return throttledTries
	case (kind == awserr.Unreachable || kind == awserr.Failing) && took < callTimeout/2:
		return brokenTries
	}
	return 1
}

// listFragments asks for one page, and again where that may help.
func (c *Client) listFragments(ctx context.Context, stream string, in *archived.ListFragmentsInput) (*archived.ListFragmentsOutput, error) {
	wait := backoff.New(backoff.Policy{Min: time.Second, Max: 10 * time.Second})
	for try := 1; ; try++ {
		began := time.Now()
		out, err := c.listPageOf(ctx, stream, in)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil || try >= tries(awserr.Of(err).Kind, time.Since(began)) {
			c.InvalidateEndpoint(stream) // the next try asks for it again
			return nil, err
		}
		if err := backoff.Sleep(ctx, wait.Next()); err != nil {
			return nil, err
		}
	}
}

func (c *Client) listPageOf(ctx context.Context, stream string, in *archived.ListFragmentsInput) (*archived.ListFragmentsOutput, error) {
	url, err := c.dataEndpoint(ctx, endpointOf{stream, types.APINameListFragments})
	if err != nil {
		return nil, err
	}
	if err := backoff.Sleep(ctx, c.lists.until(stream, time.Now())); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.archive.ListFragments(ctx, in, func(o *archived.Options) { o.BaseEndpoint = &url; o.RetryMaxAttempts = 1 })
	if err != nil {
		return nil, callError("ListFragments", stream, err)
	}
	return out, nil
}

// listPace spaces the lists of each stream. Safe for concurrent use.
type listPace struct {
	mu   sync.Mutex
	next map[string]time.Time // by stream, when the next may begin; guarded by mu
}

// until takes the next turn of a stream, and returns how long it is until then.
func (p *listPace) until(stream string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, at := range p.next {
		if at.Before(now) {
			delete(p.next, name)
		}
	}
	if p.next == nil {
		p.next = make(map[string]time.Time)
	}
	turn := now
	if at, ok := p.next[stream]; ok {
		turn = at
	}
	p.next[stream] = turn.Add(listSpacing)
	return turn.Sub(now)
}
