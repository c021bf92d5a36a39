// Light, dark, or whatever the system has; read before the page is drawn, so that it does not flash.
"use strict";
document.documentElement.dataset.theme = localStorage.getItem("theme") || "system";
