// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "reconcilers/migration/transitions.h"

int main() { std::cout << cutover::migration::RenderMarkdown(); }
