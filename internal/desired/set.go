package desired

import (
	"cmp"
	"maps"
	"slices"
)

// Set is what is wanted of a hub, by the streams' names.
type Set map[string]Stream

// SetOf is the set of some streams.
func SetOf(streams ...Stream) Set {
	set := make(Set, len(streams))
	for _, s := range streams {
		set[s.Name] = s
	}
	return set
}

// Names lists the streams, sorted.
func (s Set) Names() []string { return slices.Sorted(maps.Keys(s)) }

// Secrets lists the ARNs of the secrets that hold the URLs of the set's media.
func (s Set) Secrets() map[string]bool {
	arns := make(map[string]bool)
	for _, stream := range s {
		if stream.Media.SecretARN != "" {
			arns[stream.Media.SecretARN] = true
		}
	}
	return arns
}

// Overruled is a stream that a source wants, and another one with precedence too.
type Overruled struct {
	Stream string
	By     Origin // in force
	Origin Origin // not in force
}

// Resolve joins the sets of several sources. Where more than one wants a stream, the origin decides: file, SiteWise, then
// KVS and MQTT. Of two with the same rank the earlier set's is in force.
func Resolve(sources ...Set) (current Set, overruled []Overruled) {
	current = make(Set)
	for _, set := range sources {
		for _, name := range set.Names() {
			next := set[name]
			known, taken := current[name]
			switch {
			case !taken:
				current[name] = next
			case next.Origin.rank() < known.Origin.rank():
				current[name] = next
				overruled = append(overruled, Overruled{Stream: name, Origin: known.Origin})
			default:
				overruled = append(overruled, Overruled{Stream: name, Origin: next.Origin})
			}
		}
	}
	for i, o := range overruled {
		overruled[i].By = current[o.Stream].Origin
	}
	slices.SortFunc(overruled, func(a, b Overruled) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Origin, b.Origin))
	})
	return current, overruled
}

// Outcome is the result of applying one wanted stream.
type Outcome struct {
	Stream string
	Err    error // nil: its jobs run as wanted, or another source decides
	// OverruledBy is the origin that decides about the stream, where that is another source.
	OverruledBy Origin
}

// Action is what is done about a stream.
type Action uint8

// The actions.
const (
	Continue Action = iota // it runs as it is wanted
	Start
	Change // another value is wanted than runs
	Stop
)

// Step is what is done about one stream on the way from what runs to what is wanted.
type Step struct {
	Action Action
	Stream Stream // as it is wanted; with Stop as it ran
	// Again says that the source of before has a newer version, also one with equal content: jobs that failed are restarted.
	Again bool
}

// Reconcile lists a step for each stream that runs or is wanted, by name, those that stop last.
func Reconcile(running, wanted Set) []Step {
	steps := make([]Step, 0, len(wanted))
	for _, name := range wanted.Names() {
		next := wanted[name]
		before, runs := running[name]
		step := Step{Action: Change, Stream: next}
		switch {
		case !runs:
			step.Action = Start
		case before == next:
			step.Action = Continue
		default:
			step.Again = next.Version > before.Version && next.Origin.rank() == before.Origin.rank()
		}
		steps = append(steps, step)
	}
	for _, name := range running.Names() {
		if _, keep := wanted[name]; !keep {
			steps = append(steps, Step{Action: Stop, Stream: running[name]})
		}
	}
	return steps
}
