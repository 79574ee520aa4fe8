// The session page needs no more than what both pages share.

import { changed } from "./demo.js";

changed();
