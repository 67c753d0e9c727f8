// Command check reads bid requests, one JSON line each, and says which are none of OpenRTB 2.6: a member that the
// specification does not know, or one of another type. The types are Prebid Server's.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/prebid/openrtb/v20/openrtb2"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	failed := false
	number := 0
	for number = 1; lines.Scan(); number++ {
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		var request openrtb2.BidRequest
		if err := decoder.Decode(&request); err != nil {
			fmt.Printf("line %d: %v\n", number, err)
			failed = true
		}
	}
	fmt.Printf("%d bid requests\n", number-1)
	if failed || lines.Err() != nil {
		os.Exit(1)
	}
}
